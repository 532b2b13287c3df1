#!/usr/bin/env bash
# step.sh COMMAND [ARG...]: print the command, run it, print its wall time, hand on its exit code.
set -u
printf '$ %s\n' "$*"
begin=$(date +%s%N)
"$@"
code=$?
ms=$((($(date +%s%N) - begin) / 1000000))
printf -- '-- %d.%d s%s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$([ $code -eq 0 ] || echo ", exit code $code")"
exit $code
