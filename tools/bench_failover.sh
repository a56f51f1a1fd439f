#!/usr/bin/env bash
# Hosts that break, fairlead beside its rivals: tools/bench_failover.sh [arguments of failover.py]
#
# Without arguments: everything, into bench/results/failover.{json,md,svg} and the README's table.
# Root, because each host is a network namespace. Rivals that aren't there are set up first, as far as
# packages allow; --no-setup goes on without them.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
	echo "make bench-failover needs root, for network namespaces" >&2
	echo "hint: sudo make bench-failover" >&2
	exit 1
fi
for program in go ip nft; do
	command -v "$program" >/dev/null && continue
	echo "make bench-failover needs $program" >&2
	echo "hint: apt-get install golang-go iproute2 nftables" >&2
	exit 1
done
if [ $# -gt 0 ] && [ "$*" != --no-setup ]; then
	exec python3 bench/failover/failover.py --setup "$@"
fi
code=0
python3 bench/failover/failover.py --setup "$@" --out bench/results/failover.json || code=$?
# 1: measured, and a promise was broken. Beyond that, nothing was written.
[ "$code" -le 1 ] || exit "$code"
python3 bench/failover/failover.py --publish bench/results/failover.json
exit $code
