#!/bin/sh
# Install Cairn and its pinned dependencies into .venv: `install.sh run` for the demo, `install.sh dev` for the tests.
# Does nothing when the same pins are already in place.
set -eu
cd "$(dirname "$0")/.."
kind=$1
stamp=.venv/.installed-$kind
wanted=$(cat "constraints/$kind.txt" constraints/node.txt pyproject.toml | cksum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say() { printf '%s\n' "$*" >&2; }
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || { say "Cairn needs Python 3.11 or newer; install it, or name one with PYTHON=/path/to/python3."; exit 1; }

if [ ! -x .venv/bin/pip ]; then
    say "Making .venv with $("$python" --version)"
    "$python" -m venv .venv 2>/dev/null || "$python" -m virtualenv --quiet .venv 2>/dev/null ||
        { rm -rf .venv; say "$python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
fi
say "Installing the $kind packages (pinned by hash) into .venv"
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "constraints/$kind.txt"
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
if ! command -v npm >/dev/null 2>&1 && [ ! -x .venv/bin/npm ]; then
    say "Installing Node into .venv, as this machine has none"
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r constraints/node.txt
fi
printf '%s' "$wanted" >"$stamp"
