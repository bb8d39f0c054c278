#!/bin/sh
# The workspace status: which commit is built.
echo "BUILD_SCM_REVISION ${COMMIT:-0123456789abcdef0123456789abcdef01234567}"
echo "BUILD_SCM_STATUS Clean"
