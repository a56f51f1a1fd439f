#!/usr/bin/env bash
# cargo-deny, of one version, unless some version is there already.
#
# Built without optimisation: three quarters of a minute on two cores, and it runs for one second.
# The packages of it on PyPI end with 0.14.2, which can't read what cargo 1.77 and newer tell it.
set -euo pipefail

if ! cargo deny --version >/dev/null 2>&1; then
	cargo install --quiet --locked --version 0.20.2 --profile dev --config profile.dev.debug=false \
		cargo-deny
fi
cargo deny --version
