# shellcheck shell=bash
# Tools that are Go programs: one module a tool, so that each is built from the
# versions its authors tested and a new pin rebuilds one tool.

go_key() {
  need go golang-go
  cat "$pins/$1"/go.{mod,sum} | key "$(go env GOVERSION)"
}

go_make() {
  local package
  package=$(awk '$1 == "tool" { print $2 }' "$pins/$1/go.mod")
  say "building $1 (a minute or two the first time)"
  # The tools need no C compiler and must not depend on the machine's C library.
  (cd "$pins/$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off \
    go build -trimpath -ldflags='-s -w' -o "$cache/bin/$1" "$package") ||
    die "cannot build $1: see the lines above; the Go module proxy must be reachable the first time"
}
