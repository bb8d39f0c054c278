// Package storetest starts a private PostgreSQL for tests and benchmarks.
package storetest
