#!/usr/bin/env bash
# Is there a Rust compiler new enough, and a C compiler to link with? Where not, and apt is there
# and we are root, installs Debian's; else says exactly what to do.
set -euo pipefail

least=1.85

# Whether cargo and rustc are there and not older than $least.
new_enough() {
	command -v cargo >/dev/null && command -v rustc >/dev/null || return 1
	local found
	found=$(rustc --version | awk '{ print $2 }')
	[ "$(printf '%s\n%s\n' "$least" "$found" | sort -V | head -n 1)" = "$least" ]
}

install_by_apt() {
	command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
	echo "installing with apt-get: $*"
	apt-get update -qq || true
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! new_enough; then
	# Debian 12's own cargo is too old for the crates we use; the one it builds browsers with
	# (cargo-web, in its security archive) is new enough. Debian 13 and Ubuntu have newer ones.
	install_by_apt cargo-web rustc-web || install_by_apt cargo rustc || true
	hash -r
fi
if ! new_enough; then
	{
		echo "fairlead needs a Rust compiler, version $least or newer."
		if command -v rustc >/dev/null; then echo "found: $(rustc --version)"; else echo "found: none"; fi
		echo "hint: Debian 12: apt install cargo-web rustc-web (as root; it takes the place of cargo and rustc)"
		echo "hint: elsewhere: install rustup (see the Rust project's site), then: rustup toolchain install stable"
	} >&2
	exit 1
fi
if ! command -v cc >/dev/null && ! install_by_apt gcc libc6-dev; then
	echo "fairlead needs a C compiler to link with." >&2
	echo "hint: apt install gcc libc6-dev (as root)" >&2
	exit 1
fi
