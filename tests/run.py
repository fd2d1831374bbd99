"""The whole suite: first what mostly waits, in two lanes side by side, then all the rest alone; one summary.

A network of processes spends its time waiting for epochs, blocks and browsers, so two such lanes need hardly more than
one. The device's tests watch the clock and get the machine to themselves. Whatever no lane names runs in the last
group, so a new test file cannot be forgotten. With arguments this is pytest and nothing else.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANES = (
    ("tests/e2e", "tests/integration/pages"),
    (
        "tests/integration/test_hub_survives_kill.py",
        "tests/integration/test_hub_brokers.py",
        "tests/integration/test_hub_command.py",
        "tests/integration/test_hub_http.py",
        "tests/integration/test_hub_own_words.py",
        "tests/integration/test_archive.py",
        "tests/integration/chain",
        "tests/integration/rewards",
        "tests/seams/test_pinner.py",
        "tests/seams/test_store.py",
        "tests/vectors",
    ),
)
_KEPT_BACK = 1
_NOTHING_SAID = "1 error"
_OUTCOMES = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")
_OUTCOME = re.compile(rf"(\d+) ({'|'.join(_OUTCOMES)})s?\b")
_USAGE_ERROR = 4


def main(words: Sequence[str]) -> int:
    """Run what was asked for, or everything; return pytest's exit status, of several runs the worst."""
    if words:
        return subprocess.run(_pytest(*words), cwd=ROOT, check=False).returncode
    missing = [path for lane in LANES for path in lane if not (ROOT / path).exists()]
    if missing:
        print(f"tests/run.py names what is not there: {', '.join(missing)}", file=sys.stderr)
        return _USAGE_ERROR
    began_s = time.monotonic()
    with ThreadPoolExecutor(len(LANES)) as pool:
        outcomes = [*pool.map(lambda numbered: _run(numbered[0], *numbered[1]), enumerate(LANES))]
    others = [f"--ignore={path}" for lane in LANES for path in lane]
    outcomes.append(_run(len(LANES), "tests", *others))
    print(summary([said for _, said in outcomes], time.monotonic() - began_s))
    return worst([status for status, _ in outcomes])


def _pytest(*words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *words]


def _run(number: int, *words: str) -> tuple[int, str]:
    """Run one group and return its status and its last line; the second lane's words are kept back until its end."""
    command = _pytest("-o", f"cache_dir=.pytest_cache/{number}", *words)
    said: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        for line in run.stdout or ():
            said.append(line)
            if number != _KEPT_BACK:
                print(line, end="", flush=True)
    if number == _KEPT_BACK:
        print("".join(said), end="", flush=True)
    return run.returncode, next((line for line in reversed(said) if _OUTCOME.search(line)), _NOTHING_SAID)


def worst(statuses: Sequence[int]) -> int:
    """Return the status of several runs together: 0 only if all are 0, also where one was killed (minus a signal)."""
    return max(abs(status) for status in statuses)


def summary(lines: Sequence[str], seconds: float) -> str:
    """Add up the last lines of several runs into one of the same form."""
    counts: Counter[str] = Counter()
    for line in lines:
        for count, outcome in _OUTCOME.findall(line):
            counts[outcome] += int(count)
    told = ", ".join(
        f"{counts[outcome]} {outcome}{'s' if outcome in {'warning', 'error'} and counts[outcome] > 1 else ''}"
        for outcome in _OUTCOMES
        if counts[outcome]
    )
    clock = f" ({int(seconds) // 3_600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02})" if seconds >= 60 else ""
    return f" {told} in {seconds:.2f}s{clock} ".center(80, "=")


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
