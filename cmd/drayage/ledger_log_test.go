package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the database that somebody tampers with
)

func TestLedgerIsVerifiedAndTamperingIsNamedOnce(t *testing.T) {
	d := newTestDaemon(t)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//web:push": "b"})
	d.pushTo(t, "registry.test", "first")
	checkpoint, err := tool(t, "ledger", "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept.txt")
	if err := os.WriteFile(kept, []byte(checkpoint), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tool(t, "ledger", "verify", "--key", testVerifier, "--checkpoint", kept)
	if err != nil {
		t.Error(err)
	}
	golden(t, "verify_good.golden", checkpoint+out)

	db, err := sql.Open("sqlite", d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	dropTriggers(t, db)
	if _, err := db.ExecContext(t.Context(), `UPDATE ledger_entry SET body = replace(CAST(body AS TEXT), 'acme/web', 'evil/web') WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	out, err = tool(t, "ledger", "verify", "--key", testVerifier)
	if err == nil {
		t.Error("a ledger that was changed is good")
	}
	golden(t, "verify_changed.golden", out)
}

// dropTriggers takes away what guards the ledger against SQL.
func dropTriggers(t *testing.T, db *sql.DB) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := db.ExecContext(t.Context(), `DROP TRIGGER "`+name+`"`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProofIsCheckedWithoutTheDaemon(t *testing.T) {
	d := newTestDaemon(t)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//web:push": "b"})
	d.pushTo(t, "registry.test", "first")
	proof, err := tool(t, "ledger", "prove", "sha256:"+strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "proof.golden", proof)
	file := filepath.Join(t.TempDir(), "proof.json")
	if err := os.WriteFile(file, []byte(proof), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DRAYAGE_DAEMON", "http://127.0.0.1:1") // nobody is there
	out, err := tool(t, "ledger", "check", file, "--key", testVerifier)
	if err != nil {
		t.Error(err)
	}
	golden(t, "check.golden", out)

	if err := os.WriteFile(file, []byte(strings.Replace(proof, "acme/app", "evil/app", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tool(t, "ledger", "check", file, "--key", testVerifier); err == nil || !strings.Contains(out, "was changed") {
		t.Errorf("a proof that was changed: %v\n%s", err, out)
	}
}

func TestKeyIsMadeForTheDaemonAlone(t *testing.T) {
	d := newTestDaemon(t)
	if out, err := tool(t, "ledger", "key", "--daemon", d.url); err != nil || out != testVerifier+"\n" {
		t.Errorf("the daemon's key is %q, %v", out, err)
	}
	file := filepath.Join(t.TempDir(), "log.key")
	public, err := tool(t, "ledger", "key", "--out", file, "--name", "mine.test")
	if err != nil || !strings.HasPrefix(public, "mine.test+") {
		t.Fatalf("public half is %q, %v", public, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the signing half's file is %v, %v", info, err)
	}
	private, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(private), "PRIVATE+KEY+mine.test+") {
		t.Errorf("the signing half is not in its file: %v", err)
	}
	if _, err := tool(t, "ledger", "key", "--out", file); err == nil {
		t.Error("a key that was there is overwritten")
	}
}

func TestWrongArgumentsOfVerifySaySo(t *testing.T) {
	newTestDaemon(t)
	for want, args := range map[string][]string{
		"--since: \"tuesday\"":      {"--registry", "--since", "tuesday"},
		"must be a verifier key":    {"--key", "nonsense"},
		"read checkpoint: ":         {"--checkpoint", "none.txt"},
		"must be the HTTP address":  {"--daemon", "nowhere"},
		"Check that drayaged runs ": {"--daemon", "http://127.0.0.1:1"},
	} {
		if out, err := tool(t, append([]string{"ledger", "verify"}, args...)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: it says %q, want it to contain %q", args, out, want)
		}
	}
}
