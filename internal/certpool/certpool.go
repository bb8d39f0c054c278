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
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}
