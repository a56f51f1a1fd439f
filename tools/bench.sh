#!/usr/bin/env bash
# fairlead beside its rivals: tools/bench.sh [arguments of bench/bench.py]
#
# Without arguments: the work of all goals beside the rivals that are installed, 5 rounds, into
# bench/results/cost.{json,md,svg}; with --short the same in under 5 minutes, into
# target/bench-short.*. Root, because the run is in a network namespace of its own. Rivals that
# aren't there are set up first, as far as packages allow; --no-setup goes on without them.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
	echo "make bench needs root, for a network namespace of its own" >&2
	echo "hint: sudo make bench" >&2
	exit 1
fi
# Measured as it is shipped: with link-time optimisation.
PATH="$PWD/.venv/bin:$PATH" MATURIN_PEP517_ARGS='--profile dist' \
	tools/stage.sh 'engine (dist)' '' .venv/bin/python -m pip install \
	--disable-pip-version-check --no-build-isolation --no-deps --editable .
# Back to the everyday build afterwards: the next `make` sees that the stamp is missing.
rm -f .venv/.engine
# Only options that make it smaller go with the standard run; a choice of one's own replaces it.
standard=--standard out=bench/results/cost.json
for argument in "$@"; do
	case $argument in
	--short) out=target/bench-short.json ;;
	--peers* | --scenarios* | --out* | --table* | --publish* | --help | -h) standard='' ;;
	esac
done
if [ -z "$standard" ]; then
	exec python3 bench/bench.py --setup "$@"
fi
rm -f "$out"
exec python3 bench/bench.py --standard --setup --out "$out" "$@"
