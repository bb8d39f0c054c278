// Package ledgerlog is the ledger as a Merkle log: [Log.Append] writes rows,
// [Log.Seal] signs them, [Log.Prove] shows that one was there, and [Log.Verify]
// finds what was changed since. It can be reviewed without the rest of the store.
//
// A row's leaf is its body, byte for byte. The columns beside it, and the tables
// of digests and tags, are copies to search by; Verify checks them too. The
// hashes are those of golang.org/x/mod/sumdb/tlog (RFC 6962), in its order. A
// signed checkpoint is a note with origin, size and root.
//
// The store appends a row in the transaction that ends its job. The row's position
// in the log is decided later, when it is sealed: PostgreSQL gives out IDs before
// it commits, so a row can appear whose ID is lower than that of a sealed one.
//
// See docs/decisions/0012-the-ledger-is-a-merkle-log.md.
package ledgerlog
