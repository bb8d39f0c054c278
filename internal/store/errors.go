package store

import "errors"

// errClosed is returned by a store that is closed or closing.
var errClosed = errors.New("the store is closed")
