package store

import "errors"

// ErrClosed is returned by a store that is closed or closing.
var ErrClosed = errors.New("the store is closed")
