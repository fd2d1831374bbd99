#!/bin/sh
# Install the locked npm packages of each named folder, once per lock file, with the system's npm or the one in .venv.
set -eu
cd "$(dirname "$0")/.."
command -v npm >/dev/null 2>&1 || PATH="$PWD/.venv/bin:$PATH"
for folder in "$@"; do
    wanted=$(cksum <"$folder/package-lock.json")
    [ "$(cat "$folder/node_modules/.installed" 2>/dev/null)" = "$wanted" ] && continue
    printf 'Installing the npm packages of %s\n' "$folder" >&2
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error >&2
    printf '%s' "$wanted" >"$folder/node_modules/.installed"
done
