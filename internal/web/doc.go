// Package web is the daemon's HTTP side: the pages for people, the JSON API that
// package operator is the client of, health and metrics.
package web
