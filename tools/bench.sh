#!/usr/bin/env bash
# fairlead beside its rivals: tools/bench.sh [arguments of bench/bench.py]
#
# Without arguments: http_keepalive_100, fairlead against those of HAProxy, nginx and the floor
# that are installed. Root, because the run is in a network namespace of its own.
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
if [ $# -eq 0 ]; then
	peers=fairlead,floor
	home=${PEER_HOME:-bench/.peers}
	[ ! -x "$home/sid/usr/sbin/haproxy" ] || peers=$peers,haproxy
	[ ! -x "$home/sid/usr/sbin/nginx" ] || peers=$peers,nginx
	[ "$peers" != fairlead,floor ] || echo "no rivals are set up: bench/setup_peers.sh does it (root, some minutes)"
	set -- --scenarios http_keepalive_100 --peers "$peers" --reps 5 --seconds 2
fi
exec python3 bench/bench.py "$@"
