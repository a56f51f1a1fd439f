#!/usr/bin/env bash
# Simulated worlds, many of them: tools/soak_worlds.sh [COUNT] [--from WORLD]
#
# The standing claims (crates/fairlead-sim/src/claims.rs) over COUNT worlds, 1,000,000 if nothing is
# said. Batch by batch, with a line for each: how many, how fast, when it will be done.
# target/soak_worlds.next says where the next run goes on, so that it may be stopped at any time;
# --from 0 begins anew. A batch that breaks a claim ends the run with the seeds that did;
# FAIRLEAD_SEED=… plays one again (crates/fairlead-sim/tests/claims.rs).
set -euo pipefail
cd "$(dirname "$0")/.."

count=1000000 batch=10000 record=target/soak_worlds.next
first=$(cat "$record" 2>/dev/null || echo 0)
while [ $# -gt 0 ]; do
	case "$1" in
	--from)
		first=${2:?--from WORLD}
		shift
		;;
	*) count=$1 ;;
	esac
	shift
done
end=$((first + count)) begun=$first
cargo test --quiet --package fairlead-sim --release --locked --test claims --no-run
SECONDS=0
while [ "$first" -lt "$end" ]; do
	worlds=$((end - first < batch ? end - first : batch))
	if ! said=$(FAIRLEAD_FIRST=$first FAIRLEAD_WORLDS=$worlds cargo test --quiet --package \
		fairlead-sim --release --locked --test claims -- --ignored ten_thousand_worlds_hold); then
		echo "$said"
		exit 1
	fi
	first=$((first + worlds))
	echo "$first" >"$record"
	pace=$(((first - begun) / (SECONDS > 0 ? SECONDS : 1)))
	left=$(((end - first) / (pace > 0 ? pace : 1)))
	echo "worlds $((first - worlds)) to $first: every claim held ($pace a second, $left s left)"
done
