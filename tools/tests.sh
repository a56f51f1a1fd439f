#!/usr/bin/env bash
# One stage of tests, those that failed run again alone: tools/tests.sh NAME PATTERN PYTEST...
#
# Some four thousand tests with real sockets, clocks and processes share two cores with each other
# and with whatever else the machine does. One that fails is given the machine to itself, and has to
# pass three times in a row; then the stage passes, and a line beginning with FLAKY names the test,
# here and in target/stages/flaky.txt, with which `make test` ends. A race of the product that needs
# a busy machine ends as FLAKY, too: each of these lines is to be looked into as if it were one, and
# the test is to be mended only when it is none. More than three at once, or one that fails again,
# fail the stage.
set -euo pipefail

name=$1 pattern=$2
shift 2
failed=.pytest_cache/v/cache/lastfailed
most=3 times=3

rm -f "$failed"
status=0
tools/stage.sh "$name" "$pattern" "$@" || status=$?
# 1: tests failed. Anything else is no test's fault: a wrong option, an interrupt, no test at all.
[ "$status" -eq 1 ] && [ -s "$failed" ] || exit "$status"

pytest=$1
mapfile -t tests < <("${pytest%pytest}python" -c '
import json, sys
print("\n".join(json.load(open(sys.argv[1]))))' "$failed")
if [ "${#tests[@]}" -gt "$most" ]; then
	echo "${#tests[@]} tests failed: too many to blame the machine"
	exit "$status"
fi
for ((time = 1; time <= times; time++)); do
	tools/stage.sh "$name, alone, $time of $times" "$pattern" \
		"$pytest" --color=no -p no:cacheprovider "${tests[@]}" || exit "$status"
done
for test in "${tests[@]}"; do
	echo "FLAKY: $test failed once and passed $times times alone (output: target/stages/${name// /-}.log)"
done | tee -a target/stages/flaky.txt
