#!/usr/bin/env bash
# Is there a Python new enough, with venv? tools/ensure_python.sh INTERPRETER
set -euo pipefail

python=$1
if ! command -v "$python" >/dev/null || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	echo "fairlead needs Python 3.11 or newer; found none." >&2
	echo "hint: on Debian 12 or Ubuntu 24.04: apt install python3 python3-venv" >&2
	echo "hint: if it is installed under another name: make PYTHON=/path/to/python3.12 ..." >&2
	exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
	if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
		echo "installing python3-venv"
		apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
	else
		echo "$python has no venv module." >&2
		echo "hint: apt install python3-venv (as root)" >&2
		exit 1
	fi
fi
