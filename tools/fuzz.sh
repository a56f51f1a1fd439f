#!/usr/bin/env bash
# Fuzzes one target for a while: tools/fuzz.sh TARGET SECONDS. Without a target, all of them.
#
# Targets in fuzz/fuzz_targets are Rust (libFuzzer by cargo-fuzz, a nightly compiler); those in
# fuzz/python are Python (libFuzzer by atheris). Each begins with what is committed in
# fuzz/seeds/TARGET, with what tools/fuzz_corpus.py takes out of the tests and pages, and with what
# earlier runs have found (fuzz/corpus/TARGET, which is not committed).
#
# SANITIZER=none: without the address sanitizer, some five times as fast. What the Rust targets run
# has no unsafe code of ours, so that it watches the libraries alone; the oracles are the same.
# FUZZ_OPTIONAL=1: where a tool is missing that is said, and nothing fails (`make test-all`).
# FUZZ_RECORD=FILE: adds what was done to that record (`make fuzz`: bench/results/fuzz.md).
set -euo pipefail

target=$1 seconds=$2
python=.venv/bin/python
sanitizer=${SANITIZER:-address}

missing() {
	echo "$1" >&2
	echo "hint: $2" >&2
	[ "${FUZZ_OPTIONAL:-}" = 1 ] && [ "${CI:-}" != true ]
}

# The longest input that shows something new: more makes each execution slower and proves nothing.
# What a bound in bytes is for has tests of its own.
longest() {
	case "$1" in
	flow_events) echo 1200 ;;  # a world takes so many steps
	proxy_header) echo 512 ;;  # heads of version 1 have 107 bytes, addresses of version 2 have 232
	config_*) echo 4096 ;;
	*) echo 2048 ;;
	esac
}

# libFuzzer's own words for what it did, in one line: what nobody counts nobody believes.
tell() {
	local name=$1 log=$2 runs
	runs=$(grep -oE 'Done [0-9]+ runs' "$log" | grep -oE '[0-9]+' | tail -n 1 || true)
	echo "$name: ${runs:-0} executions in $seconds s, nothing found"
}

# $1: the target, $2: the sanitizer; then the command.
fuzz() {
	local name=$1 which=$2 log code=0
	shift 2
	mkdir -p "fuzz/corpus/$name" fuzz/artifacts target/stages
	log="target/stages/fuzz-$name.log"
	"$@" -max_len="$(longest "$name")" "${options[@]}" >"$log" 2>&1 || code=$?
	[ -z "${FUZZ_RECORD:-}" ] || python3 tools/fuzz_record.py "$FUZZ_RECORD" "$name" "$which" "$log"
	if [ "$code" != 0 ]; then
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
	missing "fuzzing Python needs atheris" "make setup (atheris has wheels for Linux on x86_64 alone)" || exit 1
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
options=(-max_total_time="$seconds" -print_final_stats=1 -timeout=20)
for name in "${rust[@]}"; do
	[ -z "$target" ] || [ "$target" = "$name" ] || continue
	fuzz "$name" "$sanitizer" cargo +nightly fuzz run --sanitizer "$sanitizer" \
		--target-dir "fuzz/target/$sanitizer" "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" --
done
for name in "${scripts[@]}"; do
	[ -z "$target" ] || [ "$target" = "$name" ] || continue
	fuzz "$name" python "$python" "fuzz/python/$name.py" \
		-artifact_prefix=fuzz/artifacts/ "fuzz/corpus/$name" "fuzz/seeds/$name"
done
