package certpool_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/certpool"
	"github.com/drayage/drayage/internal/certpool/certtest"
)

func TestAFileWithoutCertificatesIsAnError(t *testing.T) {
	cert, key := certtest.SelfSigned(t, "test")
	if _, err := certpool.Read(cert); err != nil {
		t.Error(err)
	}
	if _, err := certpool.Read(key); err == nil || !strings.Contains(err.Error(), "must contain at least one PEM certificate") {
		t.Errorf("a key: %v", err)
	}
	if _, err := certpool.Read("none.pem"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
