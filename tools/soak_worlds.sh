#!/usr/bin/env bash
# Simulated worlds, many of them: tools/soak_worlds.sh [COUNT]
#
# The standing claims (crates/fairlead-sim/src/claims.rs) over COUNT worlds, 1,000,000 if nothing is
# said: about an hour and a half of two cores. Batch by batch; target/soak_worlds.next says where
# the next run goes on, so that it may be stopped at any time. FIRST=0 begins anew. A batch that
# breaks a claim ends the run with the seeds that did; FAIRLEAD_SEED=… plays one again.
set -euo pipefail
cd "$(dirname "$0")/.."

count=${1:-1000000} batch=20000 record=target/soak_worlds.next
first=${FIRST:-$(cat "$record" 2>/dev/null || echo 0)}
end=$((first + count))
cargo test --package fairlead-sim --release --locked --test claims --no-run
while [ "$first" -lt "$end" ]; do
	worlds=$((end - first < batch ? end - first : batch))
	FAIRLEAD_FIRST=$first FAIRLEAD_WORLDS=$worlds cargo test --quiet --package fairlead-sim \
		--release --locked --test claims -- --ignored ten_thousand_worlds_hold
	first=$((first + worlds))
	echo "$first" >"$record"
	echo "worlds $((first - worlds)) to $first: every claim held"
done
