// Package certpool reads certificate authorities.
package certpool

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Read reads the PEM certificates in a file. One without any is an error, since it
// would be a pool that nobody leads to.
func Read(file string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if err := Add(pool, file); err != nil {
		return nil, err
	}
	return pool, nil
}

// Add adds the PEM certificates in a file to others. One without any is an error.
func Add(pool *x509.CertPool, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s contains no PEM certificate", file)
	}
	return nil
}
