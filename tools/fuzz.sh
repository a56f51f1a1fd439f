#!/usr/bin/env bash
# Fuzzes one target for a while: tools/fuzz.sh TARGET SECONDS. Without a target, all of them.
set -euo pipefail

target=$1 seconds=$2
if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
	echo "fuzzing needs a nightly Rust toolchain" >&2
	echo "hint: rustup toolchain install nightly" >&2
	exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
	echo "fuzzing needs cargo-fuzz" >&2
	echo "hint: cargo install cargo-fuzz" >&2
	exit 1
fi
targets=$(cargo +nightly fuzz list)
if [ -n "$target" ] && ! grep -qx "$target" <<<"$targets"; then
	echo "no fuzz target '$target'; there are: ${targets//$'\n'/, }" >&2
	exit 2
fi
python3 tools/fuzz_corpus.py
for name in ${target:-$targets}; do
	echo "fuzzing $name for $seconds s"
	cargo +nightly fuzz run "$name" -- -max_total_time="$seconds" -max_len=65536
done
