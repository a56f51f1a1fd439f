#!/usr/bin/env bash
# Fuzzes one target for a while: tools/fuzz.sh TARGET SECONDS. Without a target, all of them.
#
# Targets in fuzz/fuzz_targets are Rust (libFuzzer by cargo-fuzz, a nightly compiler, address
# sanitizer); those in fuzz/python are Python (libFuzzer by atheris). Each begins with what is
# committed in fuzz/seeds/TARGET, with what tools/fuzz_corpus.py takes out of the tests and pages,
# and with what earlier runs have found (fuzz/corpus/TARGET, which is not committed).
#
# FUZZ_OPTIONAL=1: where a tool is missing that is said, and nothing fails (`make test-all`).
set -euo pipefail

target=$1 seconds=$2
python=.venv/bin/python

missing() {
	echo "$1" >&2
	echo "hint: $2" >&2
	[ "${FUZZ_OPTIONAL:-}" = 1 ] && [ "${CI:-}" != true ]
}

# libFuzzer's own words for what it did, in one line: what nobody counts nobody believes.
tell() {
	local name=$1 log=$2 runs
	runs=$(grep -oE 'Done [0-9]+ runs' "$log" | grep -oE '[0-9]+' | tail -n 1)
	echo "$name: ${runs:-0} executions in $seconds s, nothing found"
}

fuzz() {
	local name=$1 log
	shift
	mkdir -p "fuzz/corpus/$name" fuzz/artifacts target/stages
	log="target/stages/fuzz-$name.log"
	if ! "$@" >"$log" 2>&1; then
		tail -n 60 "$log"
		echo "fuzz target $name has found something: $log" >&2
		exit 1
	fi
	tell "$name" "$log"
}

rust=()
if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
	missing "fuzzing Rust needs a nightly Rust toolchain" "rustup toolchain install nightly" || exit 1
elif ! cargo fuzz --version >/dev/null 2>&1; then
	missing "fuzzing Rust needs cargo-fuzz" "cargo install cargo-fuzz" || exit 1
else
	mapfile -t rust < <(cargo +nightly fuzz list)
fi
scripts=()
if ! "$python" -c 'import atheris' 2>/dev/null; then
	missing "fuzzing Python needs atheris" "$python -m pip install atheris" || exit 1
else
	for script in fuzz/python/*.py; do
		scripts+=("$(basename "$script" .py)")
	done
fi

all=("${rust[@]}" "${scripts[@]}")
if [ -n "$target" ] && ! printf '%s\n' "${all[@]}" | grep -qx -- "$target"; then
	echo "no fuzz target '$target'; there are: ${all[*]}" >&2
	exit 2
fi
python3 tools/fuzz_corpus.py >/dev/null
options=(-max_total_time="$seconds" -max_len=65536 -print_final_stats=1 -timeout=20)
for name in "${rust[@]}"; do
	[ -z "$target" ] || [ "$target" = "$name" ] || continue
	fuzz "$name" cargo +nightly fuzz run "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" -- "${options[@]}"
done
for name in "${scripts[@]}"; do
	[ -z "$target" ] || [ "$target" = "$name" ] || continue
	fuzz "$name" "$python" "fuzz/python/$name.py" "${options[@]}" \
		-artifact_prefix=fuzz/artifacts/ "fuzz/corpus/$name" "fuzz/seeds/$name"
done
