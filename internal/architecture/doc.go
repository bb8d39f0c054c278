// Package architecture holds the module to docs/architecture.md. Its test reads the
// tables of that page and fails on a folder that they do not name, and on an import
// that they forbid.
package architecture
