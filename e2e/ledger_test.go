package e2e_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the database that somebody tampers with

	"github.com/drayage/drayage/e2e/rig"
)

func TestTheLedgerIsVerifiedAndTamperingIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	row := wantPushed(t, s.push(t, "//:push_prod"), "//:push_prod")

	if out, err := s.drayage(t, "ledger", "verify"); err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	key, err := s.drayage(t, "ledger", "key")
	check(t, err)
	proof, err := s.drayage(t, "ledger", "prove", row.Digest)
	check(t, err)
	file := filepath.Join(rig.TempDir(t), "proof.json")
	check(t, os.WriteFile(file, []byte(proof), 0o600))

	s.daemon.Stop(t)
	// The proof needs no daemon.
	out, err := s.drayage(t, "ledger", "check", file, "--key", strings.TrimSpace(key))
	if err != nil || !strings.Contains(out, "//:push_prod") {
		t.Errorf("check of a proof: %v\n%s", err, out)
	}
	check(t, os.WriteFile(file, []byte(strings.Replace(proof, "acme/server", "acme/others", 1)), 0o600))
	if out, err := s.drayage(t, "ledger", "check", file, "--key", strings.TrimSpace(key)); err == nil {
		t.Errorf("a changed proof is believed:\n%s", out)
	}

	tamper(t, filepath.Join(s.daemon.Dir, "drayage.db"))
	s.daemon.Start(t)
	out, err = s.drayage(t, "ledger", "verify")
	if want := fmt.Sprintf("row %d ", row.ID); err == nil || !strings.Contains(out, want) {
		t.Errorf("verify after a row was changed: %v, want it to name %q\n%s", err, want, out)
	}
}

// drayage runs the lean tool against the scene's daemon, and returns what it
// prints.
func (s *scene) drayage(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), args...)
	cmd.Env = append(os.Environ(), "DRAYAGE_DAEMON="+s.daemon.URL)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), err
}

// tamper changes a row of the ledger as somebody would who owns the database.
func tamper(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer func() { check(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'trigger'`)
	check(t, err)
	defer func() { check(t, rows.Close()) }()
	var triggers []string
	for rows.Next() {
		var name string
		check(t, rows.Scan(&name))
		triggers = append(triggers, name)
	}
	check(t, rows.Err())
	for _, name := range triggers {
		_, err := db.ExecContext(t.Context(), `DROP TRIGGER "`+name+`"`)
		check(t, err)
	}
	result, err := db.ExecContext(t.Context(), `UPDATE ledger_entry SET body = replace(CAST(body AS TEXT), '"pushed"', '"failed"')`)
	check(t, err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%d rows were changed, %v", n, err)
	}
}
