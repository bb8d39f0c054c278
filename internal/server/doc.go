// Package server wires the daemon from its configuration, starts it, and stops it
// so that nothing is lost.
package server
