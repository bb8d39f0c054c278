package server

import (
	"crypto/tls"
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/drayage/drayage/internal/certpool"
)

// security is the TLS of both servers; without a config there is none.
type security struct{ config *tls.Config }

// load reads the files that the settings name.
func (t TLS) load() (security, error) {
	if t.Cert == "" {
		return security{}, nil
	}
	certificate, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return security{}, fmt.Errorf("tls: load certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if t.ClientCA != "" {
		if config.ClientCAs, err = certpool.Read(t.ClientCA); err != nil {
			return security{}, fmt.Errorf("tls.client_ca: %w", err)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return security{config}, nil
}

func (s security) grpc() credentials.TransportCredentials {
	if s.config == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(s.config)
}

// http is the config for the pages, which browsers speak HTTP/2 to.
func (s security) http() *tls.Config {
	if s.config == nil {
		return nil
	}
	config := s.config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	return config
}
