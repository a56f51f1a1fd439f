#!/usr/bin/env bash
# All linters, one line each; every one runs, whatever the others found.
set -uo pipefail

bin=.venv/bin
failed=()

stage() {
	tools/stage.sh "$@" || failed+=("$1")
}

# Debian's cargo comes without these two; rustup's has them.
if cargo fmt --version >/dev/null 2>&1; then
	stage 'rustfmt' '' cargo fmt --all --check
else
	echo 'stage rustfmt: left out, it is not installed (rustup component add rustfmt)'
fi
if cargo clippy --version >/dev/null 2>&1; then
	stage 'clippy' '' cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
else
	echo 'stage clippy: left out, it is not installed (rustup component add clippy)'
fi
stage 'ruff' '^All checks' "$bin/ruff" check python tests tools examples
stage 'ruff format' '' "$bin/ruff" format --check --quiet python tests tools examples
stage 'mypy' '^Success' "$bin/mypy"
stage 'import-linter' '^Contracts:' "$bin/lint-imports" --no-cache
if cargo deny --version >/dev/null 2>&1; then
	stage 'cargo-deny' '^(checked|not checked):' tools/deny.sh
elif [ "${CI:-}" = true ]; then
	echo 'stage cargo-deny: FAILED, it is not installed, and CI leaves nothing out'
	failed+=('cargo-deny')
else
	echo 'stage cargo-deny: left out, it is not installed (tools/install_deny.sh, a minute)'
fi
if command -v shellcheck >/dev/null; then
	stage 'shellcheck' '' shellcheck .ci/run tools/*.sh bench/setup_peers.sh
fi

if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: failed: ${failed[*]}" >&2
	exit 1
fi
