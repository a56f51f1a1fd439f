#!/usr/bin/env bash
# Writes a changelog fragment: tools/change.sh KIND TEXT
#
# One file per change in changes/, in users' words: what they can do now, or what went wrong for
# them. A release turns them into CHANGELOG.md.
set -euo pipefail

kind=$1 text=$2
case "$kind" in
added | changed | fixed | security) ;;
*)
	echo "KIND is one of added, changed, fixed, security; found: '$kind'" >&2
	echo "hint: make change KIND=fixed TEXT='A reload no longer …'" >&2
	exit 2
	;;
esac
if [ -z "$text" ]; then
	echo "TEXT is missing: one or more sentences, for users" >&2
	exit 2
fi
mkdir -p changes
last=$(find changes -name '[0-9]*.md' -printf '%f\n' | sort -n | tail -n 1)
number=${last%%.*}
file=$(printf 'changes/%03d.%s.md' "$((10#${number:-0} + 1))" "$kind")
printf '%s\n' "$text" >"$file"
echo "$file"
