"""`make bench` lists the benchmarks; `make bench NAME=x` runs one: talk on stderr, one JSON object as the last line.

A benchmark is a module ``bench_<name>.py`` in this folder whose docstring's first line says what it measures and whose
``measure(say)`` returns its figures. Figures that compare are taken side by side in one run.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

HERE = Path(__file__).resolve().parent
Figures = dict[str, int | float | str]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> int:
    """List or run; exit 2 for a name that does not exist."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: make bench NAME=demo")
    parser.add_argument("name", nargs="?", help="the benchmark to run; without it they are listed")
    name = parser.parse_args().name
    paths = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    if name is None:
        for known, path in paths.items():
            print(f"{known:10} {(_load(path).__doc__ or '').splitlines()[0]}")
        return 0
    if name not in paths:
        _say(f"There is no benchmark {name!r}; there are: {', '.join(paths)}")
        return 2
    measure = cast("Callable[[Callable[[str], None]], Figures]", _load(paths[name]).measure)
    print(json.dumps(measure(_say)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
