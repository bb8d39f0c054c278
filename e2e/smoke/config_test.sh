#!/bin/sh
# config_test.sh CONFIG: the image runs its program, with its environment.
set -eu
for part in '"Entrypoint":["/app/greeter"]' '"Env":["GREETING=hello"]' '"os":"linux"'; do
  grep -qF "$part" "$1" || {
    echo "no $part in $1:" >&2
    cat "$1" >&2
    exit 1
  }
done
