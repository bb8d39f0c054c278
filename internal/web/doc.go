// Package web is the daemon's HTTP side: the pages for people, the JSON API that
// package operator is the client of, health and metrics.
//
// See docs/decisions/0007-http-and-json-only.md.
package web
