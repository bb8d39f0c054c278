package sqldb

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresReader is a [Conn] on the pool that only reads. When the server has restarted
// each of the pool's connections turns out to be broken by itself: a question that met
// one is asked on the next.
type postgresReader struct{ postgresConn }

// Query implements [Conn].
func (r postgresReader) Query(ctx context.Context, sql string, args []any, each func(Scan) error) error {
	for tries := postgresReaders; ; tries-- {
		read := false
		err := r.postgresConn.Query(ctx, sql, args, func(scan Scan) error {
			read = true
			return each(scan)
		})
		if !isBroken(err) || read || tries == 0 || ctx.Err() != nil {
			return err
		}
	}
}

// isBroken tells whether an error is that of a connection that the server has ended.
func isBroken(err error) bool {
	if ended, ok := errors.AsType[*pgconn.PgError](err); ok {
		return ended.Code == "57P01" || ended.Code == "57P02" // PostgreSQL's manual, appendix A
	}
	if _, refused := errors.AsType[*pgconn.ConnectError](err); refused {
		return false // there is no server
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || pgconn.SafeToRetry(err)
}
