//go:build unix

package layer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// readFile reads the beginning of a regular file, as much as room makes room for,
// and tells its size. For the hundred thousand small files of a layer it makes no
// system call that it need not.
func readFile(source string, room func(size int64) []byte) (size int64, err error) {
	fail := func(op string, err error) (int64, error) {
		return 0, &os.PathError{Op: op, Path: source, Err: err}
	}
	fd, err := retried(func() (int, error) { return syscall.Open(source, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return fail("open", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	var info syscall.Stat_t
	if _, err := retried(func() (int, error) { return 0, syscall.Fstat(fd, &info) }); err != nil {
		return fail("stat", err)
	}
	if info.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return 0, fmt.Errorf("%s must be a regular file", source)
	}
	if info.Size == 0 {
		return 0, nil
	}
	for data := room(info.Size); len(data) > 0; {
		n, err := retried(func() (int, error) { return syscall.Read(fd, data) })
		if err != nil {
			return fail("read", err)
		}
		if n == 0 {
			return fail("read", io.ErrUnexpectedEOF)
		}
		data = data[n:]
	}
	return info.Size, nil
}

// retried makes a system call again that a signal has interrupted.
func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
