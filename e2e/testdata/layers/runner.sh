#!/bin/bash
# Finds its runfiles the way that Bazel's own library does.
set -euo pipefail
# shellcheck source=/dev/null
source "${RUNFILES_DIR:-$0.runfiles}/bazel_tools/tools/bash/runfiles/runfiles.bash"
cat "$(rlocation _main/greeting)" "$(rlocation other/message)"
