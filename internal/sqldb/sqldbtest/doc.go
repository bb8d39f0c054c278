// Package sqldbtest has the databases that tests run on: the list of [Drivers],
// and a private PostgreSQL.
//
// A driver that is added to the list is exercised by the tests of every package
// that keeps something in a database.
package sqldbtest
