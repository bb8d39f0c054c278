package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// How the rows of the filled ledger are spread: a thousand targets and
// repositories in two registries, a build of 500 images for each commit, and an
// image that changes in every tenth build. In the first third, every third row is of a
// registry that has been given up since, where all pushes were denied.
const (
	fillTargets = 1000
	fillBuild   = 500
	fillStart   = 1_700_000_000_000_000 // microseconds; a row a second from here on
	fillFirstID = 100_000_000
)

// fill writes rows straight into the tables: doing as many jobs would take a
// quarter of an hour.
func fill(ctx context.Context, name, url string, rows int) error {
	driver, dsn, finish := "pgx", url, "VACUUM ANALYZE" // which autovacuum does for a ledger that grows
	numbers := fmt.Sprintf(`SELECT n FROM generate_series(0, %d) AS g (n)`, rows-1)
	text := `CAST(%s AS TEXT)`
	pad := func(prefix, number string) string {
		return fmt.Sprintf(`'%s' || lpad(CAST(%s AS TEXT), 64, '0')`, prefix, number)
	}
	bytes := func(expression string) string { return fmt.Sprintf(`convert_to(%s, 'UTF8')`, expression) }
	if name == "sqlite" {
		driver, finish = "sqlite", "ANALYZE"
		dsn = "file:" + url + "?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-400000)"
		numbers = fmt.Sprintf(`WITH RECURSIVE g (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM g WHERE n < %d) SELECT n FROM g`, rows-1)
		pad = func(prefix, number string) string { return fmt.Sprintf(`'%s' || printf('%%064d', %s)`, prefix, number) }
		bytes = func(expression string) string { return fmt.Sprintf(`CAST(%s AS BLOB)`, expression) }
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	// Two digests a row: the index that was pushed and the manifest in it.
	columns := strings.NewReplacer(
		"$id", fmt.Sprintf("(n + %d)", fillFirstID),
		"$time", fmt.Sprintf("(CAST(n AS BIGINT) * 1000000 + %d)", fillStart),
		"$outcome", "(CASE WHEN n < "+fmt.Sprint(rows/3)+" AND n % 3 = 0 THEN 'denied' WHEN n % 1000 = 7 THEN 'failed' WHEN n % 10 = 0 THEN 'pushed' ELSE 'present' END)",
		"$registry", "(CASE WHEN n < "+fmt.Sprint(rows/3)+" AND n % 3 = 0 THEN 'old.example.com' WHEN n % 2 = 0 THEN 'one.example.com' ELSE 'two.example.com' END)",
		"$repository", "('team/app' || "+fmt.Sprintf(text, fmt.Sprintf("(n %% %d)", fillTargets))+")",
		"$target", "('//services/app' || "+fmt.Sprintf(text, fmt.Sprintf("(n %% %d)", fillTargets))+" || ':push')",
		"$invocation", "('fill-' || "+fmt.Sprintf(text, fmt.Sprintf("(n / %d)", fillBuild))+")",
		"$commit", "("+pad("", fmt.Sprintf("(n / %d)", fillBuild))+")",
		"$digest", "("+pad("sha256:", "(n / 10)")+")",
		"$child", "("+pad("sha256:a", "(n / 10)")+")",
	)
	body := `'{"time":"2026-01-01T00:00:00Z","outcome":"' || $outcome || '","registry":"' || $registry || '","repository":"' || $repository
		|| '","digest":"' || $digest || '","manifests":[{"digest":"' || $digest || '"},{"digest":"' || $child || '","platform":"linux/amd64"}]'
		|| ',"tags":[{"name":"latest"}],"uploaded":{"blobs":2,"bytes":1048576},"requests":6,"attempts":1,"target":"' || $target
		|| '","invocationId":"' || $invocation || '","commit":"' || $commit
		|| '","command":"build","bazelVersion":"7.7.1","branch":"main","metadata":{"PIPELINE":"release","RUN":"12345"},"client":"ci"}'`
	for _, statement := range []string{
		`INSERT INTO ledger_entry (id, job_id, time, outcome, registry, repository, target, invocation_id, commit_id, body)
			SELECT $id, $id, $time, $outcome, $registry, $repository, $target, $invocation, $commit, ` + bytes(body) + ` FROM (` + numbers + `) numbers`,
		`INSERT INTO ledger_digest (digest, time, entry_id) SELECT $digest, $time, $id FROM (` + numbers + `) numbers`,
		`INSERT INTO ledger_digest (digest, time, entry_id) SELECT $child, $time, $id FROM (` + numbers + `) numbers`,
		`INSERT INTO ledger_tag (tag, time, entry_id, repository, registry) SELECT 'latest', $time, $id, $repository, $registry FROM (` + numbers + `) numbers`,
		`INSERT INTO expected (invocation_id, target, configuration, aspect, spec_digest, found, job_id, outcome, entry_id)
			SELECT $invocation, $target, '', '', $digest, $time, $id, $outcome, $id FROM (` + numbers + `) numbers`,
		`INSERT INTO invocation (id, build_id, started, updated, finished, exit_code, body)
			SELECT $invocation, '', $time, $time, 1, 'SUCCESS', ` + bytes(`'{}'`) + ` FROM (` + numbers + `) numbers WHERE n % ` + fmt.Sprint(fillBuild) + ` = 0`,
		finish,
	} {
		if _, err := db.ExecContext(ctx, columns.Replace(statement)); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	return nil
}
