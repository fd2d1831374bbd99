"""Child processes that are kept running: started, listened to, and started again, each within a budget.

Knows no clock and no meaning of what a child says. A child that ends goes on after a short pause; one that ends too
often within a while waits longer and longer, and its trouble is told, but it is never given up: on a lamp post nobody
comes by to start it again.
"""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from edge.log import get_logger
from edge.wire import LineReader

_PAUSE_FIRST_S: Final = 0.5
_DOUBLINGS_MAX: Final = 16

log = get_logger()


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """How often a child may be started again without being waited for.

    Raises:
        ValueError: nothing may ever happen.
    """

    starts: int = 5
    within_s: float = 60.0
    pause_max_s: float = 60.0

    def __post_init__(self) -> None:
        if self.starts < 1 or min(self.within_s, self.pause_max_s) <= 0:
            raise ValueError("a restart budget needs at least one start and positive times")


class Restarts:
    """When a child that has ended may start again. Pure."""

    def __init__(self, budget: RestartBudget) -> None:
        """Begin with the whole budget."""
        self._budget = budget
        self._ends: deque[float] = deque()
        self.count = 0

    def pause_s(self, now_s: float) -> float:
        """Take note of an end at ``now_s``; return how long to wait: short within the budget, then doubling."""
        budget = self._budget
        self.count += 1
        self._ends.append(now_s)
        while now_s - self._ends[0] > budget.within_s:
            self._ends.popleft()
        over = len(self._ends) - budget.starts
        if over <= 0:
            return _PAUSE_FIRST_S
        while len(self._ends) > budget.starts + _DOUBLINGS_MAX:
            self._ends.popleft()
        # Counting the pauses themselves: a child that fails at once still empties the window only slowly.
        return min(budget.pause_max_s, _PAUSE_FIRST_S * 2.0 ** min(over, _DOUBLINGS_MAX))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a child is started."""

    name: str
    command: Callable[[], Sequence[str]]
    greeting: Callable[[], bytes]  # the first line on its stdin
    inherited: tuple[int, ...] = ()  # descriptors it gets
    environment: Mapping[str, str] = field(default_factory=dict)
    budget: RestartBudget = RestartBudget()
    ends_for_good: bool = False  # whether an end with status 0 is meant: it is not wanted any more


class Child:
    """One process that shall run. Used by one thread."""

    def __init__(self, recipe: Recipe) -> None:
        """Prepare; `step` starts it."""
        self._recipe = recipe
        self._restarts = Restarts(recipe.budget)
        self._running: subprocess.Popen[bytes] | None = None
        self._reader: LineReader | None = None
        self._start_at_s: float | None = 0.0
        self._is_killed = False
        self.started_at_s = 0.0
        self.is_wanted = True

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self._recipe.name

    @property
    def pid(self) -> int | None:
        """Its process number while it runs."""
        return self._running.pid if self._running is not None else None

    @property
    def is_running(self) -> bool:
        """Whether it is there and has not just been killed."""
        return self._running is not None and not self._is_killed

    @property
    def restarts(self) -> int:
        """How often it has ended and was to be started again."""
        return self._restarts.count

    @property
    def news_descriptor(self) -> int | None:
        """What to wait on for its news."""
        running, reader = self._running, self._reader
        has_news = running is not None and reader is not None and not reader.is_closed
        return running.stdout.fileno() if has_news and running is not None and running.stdout is not None else None

    def step(self, now_s: float) -> list[bytes]:
        """Start it if it is due, notice its end, return the lines it has said."""
        if self._running is None:
            if self.is_wanted and self._start_at_s is not None and now_s >= self._start_at_s:
                self._start(now_s)
            return []
        lines = self._listen()
        if self._running.poll() is not None:
            lines += self._listen()  # what it said last
            self._ended(now_s)
        return lines

    def send(self, line: bytes) -> bool:
        """Give it an order; False if it is not there to hear it."""
        if self._running is None or self._running.stdin is None:
            return False
        try:
            self._running.stdin.write(line)
            self._running.stdin.flush()
        except OSError:
            return False
        return True

    def restart(self) -> None:
        """Kill it: it hangs, or shall begin anew. It starts again when its pause is over."""
        if self._running is not None and not self._is_killed:
            self._is_killed = True
            self._running.kill()

    def stop(self, *, at_most_s: float) -> None:
        """End it for good: it loses its stdin, and after ``at_most_s`` its life."""
        self.is_wanted = False
        running = self._running
        if running is None:
            return
        if running.stdin is not None:
            with suppress(OSError):
                running.stdin.close()
        try:
            running.wait(at_most_s)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        self._let_go()

    def _start(self, now_s: float) -> None:
        recipe = self._recipe
        self._start_at_s = None
        try:
            self._running = subprocess.Popen(
                recipe.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=recipe.inherited,
                env={**os.environ, **recipe.environment},
            )
        except OSError as error:
            self._start_at_s = now_s + self._restarts.pause_s(now_s)
            log.warning("child_not_started", child=recipe.name, reason=str(error))
            return
        self.started_at_s = now_s
        if self._running.stdout is not None:
            self._reader = LineReader(self._running.stdout.fileno())
        self.send(recipe.greeting())
        log.info("child_started", child=recipe.name, pid=self._running.pid)

    def _listen(self) -> list[bytes]:
        if self._reader is None:
            return []
        try:
            return list(self._reader.lines())
        except (ValueError, OSError) as error:
            log.warning("child_unintelligible", child=self.name, reason=str(error))
            self.restart()
            return []

    def _ended(self, now_s: float) -> None:
        status = self._running.returncode if self._running is not None else None
        self._let_go()
        if status == 0 and self._recipe.ends_for_good:
            self.is_wanted = False
        if not self.is_wanted:
            return
        pause_s = self._restarts.pause_s(now_s)
        self._start_at_s = now_s + pause_s
        log.warning("child_ended", child=self.name, status=status, again_in_ms=int(pause_s * 1000))

    def _let_go(self) -> None:
        running, self._running, self._reader = self._running, None, None
        self._is_killed = False
        if running is not None:
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
