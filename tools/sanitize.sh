#!/usr/bin/env bash
# The engine's tests under the address and the thread sanitizer, and under Miri what can be there.
#
# All unsafe code of fairlead stands in crates/fairlead-engine/src/sys: a descriptor taken by its number
# (descriptors), an option of the allocator (memory), a signal mask (signals), socket options (socket),
# a thread's scheduling class (turn), the entries of an io_uring (ring), and in the tests an allocator
# that counts (allocations). The sanitizers run all of the engine's tests, that code and the threads
# around it included. Miri runs the one module whose calls it knows, descriptors; it knows neither
# socket options nor signal masks nor scheduling classes nor io_uring, and no C.
#
# Not run: mimalloc and the Python binding (pyo3's own unsafe code): the engine's tests use neither.
set -euo pipefail

if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
	echo "sanitizers need a nightly Rust toolchain" >&2
	echo "hint: rustup toolchain install nightly --component miri --component rust-src" >&2
	[ "${CI:-}" != true ]
	exit
fi
host=$(rustc -vV | sed -n 's/^host: //p')
components=$(rustup +nightly component list 2>/dev/null | grep installed || true)

# $1: the sanitizer; then further options of cargo. Without the tests in comments, of which the engine
# has none: rustdoc would build them without the sanitizer, and refuses to mix.
run() {
	local which=$1
	shift
	echo "$which sanitizer:"
	RUSTFLAGS="-Zsanitizer=$which" CARGO_TARGET_DIR=target/sanitize-$which \
		cargo +nightly test --quiet -p fairlead-engine --lib --tests --target "$host" "$@"
}

# What a caught panic carries is forgotten on purpose (crates/fairlead-engine/src/guard.rs), and some
# tests panic; that is all that is ever left.
ASAN_OPTIONS=detect_leaks=0 run address
# Uninstrumented code of the standard library would be taken for races.
if grep -q rust-src <<<"$components"; then
	run thread -Zbuild-std
else
	echo "not run: thread sanitizer, which needs the standard library's source"
	echo "hint: rustup component add --toolchain nightly rust-src"
fi
if grep -q '^miri' <<<"$components"; then
	echo "Miri:"
	# rustix calls the kernel by assembly otherwise, which Miri can't follow.
	MIRIFLAGS=-Zmiri-disable-isolation RUSTFLAGS=--cfg=rustix_use_libc CARGO_TARGET_DIR=target/miri \
		cargo +nightly miri test --quiet -p fairlead-engine --lib -- \
		sys::descriptors --skip the_soft_limit # it knows no limits
else
	echo "not run: Miri"
	echo "hint: rustup component add --toolchain nightly miri"
fi
