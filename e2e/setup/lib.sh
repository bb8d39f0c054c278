# shellcheck shell=bash
# What the set-up scripts share: where things are, and how they speak.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=$root/.cache
pins=$root/e2e/tools

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# need PROGRAM PACKAGE: stops with the one line that says what is missing.
need() {
  command -v "$1" >/dev/null || die "no $1 on this machine: sudo apt-get install -y $2"
}

# key WORD...: a hash over its arguments and everything on its input.
key() {
  { printf '%s\n' "$@"; cat; } | sha256sum | cut -c1-32
}
