// Package certpool reads certificate authorities from files.
package certpool

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Read reads the PEM certificates in a file. A file without any is an error: no
// connection could be trusted.
func Read(file string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if err := Add(pool, file); err != nil {
		return nil, err
	}
	return pool, nil
}

// Add adds the PEM certificates in a file to a pool. A file without any is an error.
func Add(pool *x509.CertPool, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s must contain at least one PEM certificate", file)
	}
	return nil
}
