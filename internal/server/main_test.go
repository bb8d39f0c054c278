package server_test

import (
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { sqldbtest.Main(m) }
