# shellcheck shell=bash
# Tools that are Go programs: one module a tool, so that each is built from the
# versions its authors tested and a new pin rebuilds one tool.

# The generator of Go from protobuf is pinned by the project's own go.mod: it
# and the runtime that its output needs are one module.
go_module() {
  if [[ $1 == protoc-gen-go ]]; then echo "$root"; else echo "$pins/$1"; fi
}

go_package() {
  if [[ $1 == protoc-gen-go ]]; then
    echo google.golang.org/protobuf/cmd/protoc-gen-go
  else
    awk '$1 == "tool" { print $2 }' "$pins/$1/go.mod"
  fi
}

go_key() {
  need go golang-go
  local module
  module=$(go_module "$1")
  if [[ $1 == protoc-gen-go ]]; then
    (cd "$module" && go list -m google.golang.org/protobuf | key "$(go env GOVERSION)")
  else
    cat "$module/go.mod" "$module/go.sum" | key "$(go env GOVERSION)"
  fi
}

go_make() {
  local module package
  module=$(go_module "$1")
  package=$(go_package "$1")
  say "building $1 (a minute or two the first time)"
  # The tools need no C compiler and must not depend on the machine's C library.
  (cd "$module" && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off \
    go build -trimpath -ldflags='-s -w' -o "$cache/bin/$1" "$package") ||
    die "cannot build $1: see the lines above; the Go module proxy must be reachable the first time"
}
