// Package ledger is the record of what was pushed, as everybody sees it: the
// row, the questions that can be asked of the rows, and the forms in which they
// are written for people and for programs. It does no I/O of its own; where the
// rows are kept is internal/store's affair.
package ledger
