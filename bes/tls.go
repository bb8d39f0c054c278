package bes

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/drayage/drayage/internal/certpool"
)

// TLS is how a backend is reached over grpcs://.
type TLS struct {
	// CAFile holds the certificates, in PEM, that the backend's must lead to.
	// Defaults to the system's.
	CAFile string
	// CertFile and KeyFile are what the backend is shown, in PEM. They are read
	// again for each connection, so that they can be renewed in place. Defaults to
	// none.
	CertFile, KeyFile string
	// ServerName is the name that the backend's certificate must hold. Defaults to
	// the address's host.
	ServerName string
}

// config reads what can be read now, so that a mistake stops the start.
func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		var err error
		if config.RootCAs, err = certpool.Read(t.CAFile); err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a client certificate and its key must be given together")
	}
	if t.CertFile == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		return &certificate, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}
