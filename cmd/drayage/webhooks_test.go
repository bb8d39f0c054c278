package main

import (
	"database/sql"
	"strings"
	"testing"
	"time"
)

func TestEventsThatWereGivenUpAreShownAndRedelivered(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	d := newTestDaemon(t)
	d.enqueue(t, "first", map[string]string{"//app:push": "a", "//web:push": "b"})
	d.pushTo(t, "registry.test", "first")
	db, err := sql.Open("sqlite", d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// What fifty refusals leave behind; each after the last would have come two hours later.
	if _, err := db.ExecContext(t.Context(), `INSERT INTO outbox (sink, entry_id, due, attempts, state, error)
		SELECT CASE id WHEN 1 THEN 'ci' ELSE 'chat' END, id, 1772443800000000, 50, 'dead', '503 Service Unavailable' FROM ledger_entry`); err != nil {
		t.Fatal(err)
	}

	var shown strings.Builder
	for _, args := range [][]string{
		{"webhooks"},
		{"webhooks", "--webhook", "chat"},
		{"webhooks", "redeliver"},
		{"webhooks", "redeliver", "--event", "1", "--webhook", "chat"},
		{"webhooks", "redeliver", "--event", "1"},
		{"webhooks"},
		{"webhooks", "redeliver", "--all"},
		{"webhooks"},
	} {
		out, _ := tool(t, args...) // the error is in it
		shown.WriteString("$ drayage " + strings.Join(args, " ") + "\n" + out)
	}
	golden(t, "webhooks.golden", shown.String())
	out, err := tool(t, "webhooks", "-o", "json")
	if err != nil || out != "[]\n" {
		t.Errorf("no dead letters as JSON are %q, %v", out, err)
	}
}
