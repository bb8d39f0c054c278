package store

import "errors"

// errClosed is returned by a store that is closed or closing.
var errClosed = errors.New("the store is closed")

// ErrUnknownInvocation says that the daemon has never heard of an invocation.
var ErrUnknownInvocation = errors.New("the daemon knows no such invocation")

// DecisionError says that what somebody decided cannot be done as things stand.
type DecisionError struct{ Text string }

func (e *DecisionError) Error() string { return e.Text }
