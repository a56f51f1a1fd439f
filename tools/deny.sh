#!/usr/bin/env bash
# cargo-deny: licences, bans and sources always; advisories where their database can be had, which
# lies on a host that a build machine may not reach.
set -euo pipefail

# The manifests of all platforms' crates, which a build for one platform doesn't fetch.
cargo fetch --locked --quiet || echo 'the registry is not reachable: with the crates that are here'
cargo deny --all-features --offline check licenses bans sources
echo 'checked: licences, bans, sources'

if timeout 120 cargo deny --all-features fetch db >/dev/null 2>&1; then
	cargo deny --all-features check --disable-fetch advisories
	echo 'checked: advisories'
else
	echo 'not checked: advisories, their database is not reachable'
fi
