package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/drayage/drayage/internal/certpool"
)

// HostOptions say how a registry's host is reached, where that is not the rule: by HTTPS
// (by plain HTTP on loopback), with the system's authorities and those of docker's and
// podman's certs.d.
type HostOptions struct {
	// PlainHTTP reaches it without TLS.
	PlainHTTP bool
	// CA is a PEM file with authorities that are trusted besides the others.
	CA string
	// Cert and Key are PEM files with the certificate that is shown to it.
	Cert, Key string
	// SkipVerify takes any certificate for its own. Each time it does is logged.
	SkipVerify bool
	// Headers are sent with every request to it.
	Headers map[string]string
	// TokenService is the address, http(s)://HOST[:PORT], of a token service that may be
	// asked on its behalf although it is in a private network, or speaks plain HTTP.
	TokenService string
	// Settings say what it can. They win over what is known of it, and over what its
	// answers tell.
	Settings Settings
}

// ownHeaders are those that a setting must not change: they say who we are, and what a
// request is.
var ownHeaders = []string{"Authorization", "Host", "Content-Length", "Content-Type", "Content-Range", "Range", "Transfer-Encoding", "Connection", "Accept", "Trailer", "Upgrade", "Te"}

// Check says what of the options cannot be, and reads their files.
func (o HostOptions) Check() error {
	if (o.Cert == "") != (o.Key == "") {
		return errors.New("cert and key must be set together")
	}
	if o.PlainHTTP && o.hasTLS() {
		return errors.New("plain_http must not be set together with ca, cert, key or skip_verify")
	}
	for name, value := range o.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("headers: %q and its value must be valid in an HTTP header", clip(name))
		}
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("headers: %s must not be set", http.CanonicalHeaderKey(name))
		}
	}
	if _, err := o.tokenService(); err != nil {
		return err
	}
	_, err := o.tls(&certFolder{})
	return err
}

func (o HostOptions) hasTLS() bool { return o.CA != "" || o.Cert != "" || o.SkipVerify }

func (o HostOptions) tokenService() (*url.URL, error) {
	if o.TokenService == "" {
		return nil, nil
	}
	u, err := url.Parse(o.TokenService)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("token_service: %q must be http://HOST[:PORT] or https://HOST[:PORT]", clip(o.TokenService))
	}
	return u, nil
}

// tls makes the configuration, or nil where the system's is all.
func (o HostOptions) tls(folder *certFolder) (*tls.Config, error) {
	if !o.hasTLS() && folder.empty() {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.SkipVerify} //nolint:gosec // where a person asks for it, who is told each time
	authorities := folder.authorities
	if o.CA != "" {
		authorities = append([]string{o.CA}, authorities...)
	}
	if len(authorities) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, file := range authorities {
			if err := certpool.Add(pool, file); err != nil {
				return nil, fmt.Errorf("ca: %w", err)
			}
		}
		config.RootCAs = pool
	}
	cert, key := folder.cert, folder.key
	if o.Cert != "" {
		cert, key = o.Cert, o.Key
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert %s and key %s: %w", cert, key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
