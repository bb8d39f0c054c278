package store_test

import (
	"flag"
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store/storetest"
)

var kills = flag.Int("kills", 4, "how often each kill test kills, or has the database away")

func TestMain(m *testing.M) { storetest.Main(m) }

func TestStore(t *testing.T) { sqldbtest.Each(t, storetest.Exercise) }

func TestKill(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) { storetest.ExerciseKills(t, driver, *kills) })
}
