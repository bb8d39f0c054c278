package sqldb

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Conn runs SQL: on one connection in a transaction, or on a pool. Placeholders
// are question marks, whatever the database's own are.
type Conn interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	// Query calls each for every row, with the function that reads its columns.
	Query(ctx context.Context, sql string, args []any, each func(scan Scan) error) error
}

// Scan reads the columns of a row.
type Scan = func(columns ...any) error

// QueryRow reads one row, if there is one.
func QueryRow(ctx context.Context, c Conn, sql string, args []any, dest ...any) (found bool, err error) {
	err = c.Query(ctx, sql, args, func(scan Scan) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// pieceRows is how many rows of values one statement has at most, so that both
// databases take it: PostgreSQL has at most 65535 parameters, SQLite 32766.
const pieceRows = 2000

// Insert is a statement with a list of values.
type Insert struct {
	// SQL is what comes before the values, Tail what comes after them.
	SQL, Tail string
	// Group is one row's placeholders: "(?,?)".
	Group string
	// Args are the values of all rows, one after another.
	Args []any
}

// ExecMany runs the statements one after another, each in pieces that both
// databases take.
func ExecMany(ctx context.Context, tx Conn, inserts ...Insert) error {
	for _, i := range inserts {
		width := strings.Count(i.Group, "?")
		for piece := range slices.Chunk(i.Args, width*pieceRows) {
			if _, err := tx.Exec(ctx, i.SQL+Values(len(piece)/width, i.Group)+i.Tail, piece...); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteSize bounds what one transaction of [DeleteMany] removes, so that nobody
// who writes in the meantime waits long.
const deleteSize = 500

// DeleteMany removes the rows of the table whose key is in the query's result, in
// transactions of a bounded size. The query must not find what is removed again.
func DeleteMany(ctx context.Context, db DB, table, key, query string, args ...any) error {
	statement := `DELETE FROM ` + table + ` WHERE ` + key + ` IN (` + query + ` LIMIT ` + strconv.Itoa(deleteSize) + `)`
	for {
		var n int64
		err := db.Write(ctx, func(ctx context.Context, tx Conn) (err error) {
			n, err = tx.Exec(ctx, statement, args...)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// Values writes n parenthesised groups of placeholders, for VALUES.
func Values(n int, group string) string {
	return strings.TrimSuffix(strings.Repeat(group+",", n), ",")
}

// numbered turns question marks into $1, $2, … No statement has a question mark
// of any other meaning.
func numbered(sql string) string {
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(sql, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		sql = after
	}
}

// Micros is how times are kept in the tables: microseconds since 1970, 0 for no
// time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the time that [Micros] wrote, in UTC.
func FromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// CleanText takes out of a text what not every database can keep: bytes that are
// not UTF-8, and NUL.
func CleanText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
