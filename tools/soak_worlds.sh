#!/usr/bin/env bash
# Simulated worlds, many of them: tools/soak_worlds.sh [COUNT] [--from WORLD]
#
# The standing claims (crates/fairlead-sim/src/claims.rs) over COUNT worlds, 1,000,000 if nothing is
# said. Batch by batch, with a line for each: how many, how fast, when it will be done.
# target/soak_worlds.next says where the next run goes on, so that it may be stopped at any time;
# --from 0 begins anew. A batch that breaks a claim doesn't end the run, as the next ones may break
# others: the seeds that did stand in target/soak_worlds.broken, and the run ends with them and 1.
# FAIRLEAD_SEED=… plays one again (crates/fairlead-sim/tests/claims.rs).
# What was built at the beginning is run to the end, whatever is edited meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

count=1000000 batch=10000
record=target/soak_worlds.next broken=target/soak_worlds.broken built=target/soak_worlds.built
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
if [ "$first" -eq 0 ]; then rm -f "$broken"; fi
end=$((first + count)) begun=$first
binary=$(cargo test --quiet --package fairlead-sim --release --locked --test claims --no-run \
	--message-format json | sed -n 's/.*"executable":"\([^"]*\/claims-[^"]*\)".*/\1/p')
cp "$binary" "$built"
echo "built of $(git describe --always --dirty 2>/dev/null || echo 'no commit')"
SECONDS=0
while [ "$first" -lt "$end" ]; do
	worlds=$((end - first < batch ? end - first : batch))
	verdict='every claim held'
	if ! said=$(RUST_BACKTRACE=0 FAIRLEAD_FIRST=$first FAIRLEAD_WORLDS=$worlds \
		"$built" --ignored ten_thousand_worlds_hold 2>&1); then
		echo "$said" | sed -n '/ broke a claim$/,/^$/p' | tee -a "$broken"
		verdict='BROKEN'
		case "$said" in
		*' broke a claim'*) ;;
		# Whoever fails without a word on a claim has not been through its worlds.
		*) echo "$said" && exit 1 ;;
		esac
	fi
	first=$((first + worlds))
	echo "$first" >"$record"
	pace=$(((first - begun) / (SECONDS > 0 ? SECONDS : 1)))
	left=$(((end - first) / (pace > 0 ? pace : 1)))
	echo "worlds $((first - worlds)) to $first: $verdict ($pace a second, $left s left)"
done
echo "$((first - begun)) worlds in $SECONDS s"
if [ -s "$broken" ]; then
	echo "broken, since world 0:"
	cat "$broken"
	exit 1
fi
