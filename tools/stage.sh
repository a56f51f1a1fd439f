#!/usr/bin/env bash
# One stage of a longer run: tools/stage.sh NAME PATTERN COMMAND...
#
# Keeps the command's output in target/stages/NAME.log. When it succeeds, shows the lines that fit
# PATTERN (an extended regular expression; none if empty) and one line with the time it took. When
# it fails, shows the whole log. With CI=true everything is shown as it comes.
set -euo pipefail

name=$1 pattern=$2
shift 2
mkdir -p target/stages
log="target/stages/${name// /-}.log"
started=$(date +%s)
status=0
if [ "${CI:-}" = true ]; then
	echo "stage $name: starts"
	"$@" 2>&1 </dev/null | tee "$log" || status=$?
else
	"$@" >"$log" 2>&1 </dev/null || status=$?
fi
took=$(($(date +%s) - started))
if [ "$status" -ne 0 ]; then
	[ "${CI:-}" = true ] || cat "$log"
	echo "stage $name: FAILED with exit code $status after $took s (output: $log)"
	exit "$status"
fi
if [ -n "$pattern" ] && [ "${CI:-}" != true ]; then
	grep -E "$pattern" "$log" || true
fi
echo "stage $name: ok, $took s"
