"""The two things that take long or touch what strangers made: fetching and trying, each in a confined child process.

The process with the key parses no answer of a stranger's server and loads no model. A child may read and write what its
errand needs and nothing else (edge/confine.py): the fetching one has the network and one folder, the trying one the
model store and no network; neither can open the key file.
"""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from edge.confine import Confinement, confined_command

TRIAL_TIMEOUT_S: Final = 180.0  # a first load may compile for a while on a small board
FETCH_TIMEOUT_S: Final = 4 * 3_600.0
_SENTENCE_MAX: Final = 500
_ANSWER_MAX_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an errand ended."""

    problem: str | None = None  # a sentence; None: well
    frame_ms: int = 0  # of a trial


class Errand(Protocol):
    """Something under way. Neither call waits or raises."""

    def outcome(self) -> Outcome | None:
        """Return how it ended; None while it is under way."""
        ...

    def cancel(self) -> None:
        """Give it up: nothing of it goes on."""
        ...


class Parcel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A believed model that is to be fetched, and where it is to be had."""

    manifest: bytes
    approvals: tuple[bytes, ...]
    model_sources: tuple[str, ...]
    picture_sources: tuple[str, ...]
    plain_http: str  # the hub's own address, which needs no https


Fetch = Callable[[Parcel, Path], Errand]
Try = Callable[[Path], Errand]


class ErrandAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child says on stdout where all went well."""

    frame_ms: int = 0
    provider: str = ""


class ChildErrand:
    """An errand as a process of its own; it is ended when it takes too long."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        order: bytes = b"",
        monotonic_s: Callable[[], float],
        timeout_s: float,
        what: str,
    ) -> None:
        """Begin.

        Args:
            command: what to run; it answers with exit status 0 and an `ErrandAnswer`, or 1 and a sentence on stderr.
            order: what it reads from stdin.
            monotonic_s: the clock for the timeout.
            timeout_s: how long it may take.
            what: for people: "the trial".

        Raises:
            OSError: the process cannot be started.
        """
        self._monotonic_s = monotonic_s
        self._give_up_at_s = monotonic_s() + timeout_s
        self._what = what
        self._outcome: Outcome | None = None
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 # closed with the outcome
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        with tempfile.TemporaryFile() as stdin:  # a pipe would have to be fed
            stdin.write(order)
            stdin.seek(0)
            self._child = subprocess.Popen(command, stdin=stdin, stdout=self._out, stderr=self._err)

    def outcome(self) -> Outcome | None:
        """See `Errand`."""
        if self._outcome is None:
            status = self._child.poll()
            if status is not None:
                self._end(self._answer(status))
            elif self._monotonic_s() > self._give_up_at_s:
                self._kill("takes too long")
        return self._outcome

    def cancel(self) -> None:
        """See `Errand`."""
        if self._outcome is None:
            self._kill("was given up")

    def _kill(self, why: str) -> None:
        self._child.kill()
        self._child.wait()
        self._end(Outcome(f"{self._what} {why}"))

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._out.close()
        self._err.close()

    def _answer(self, status: int) -> Outcome:
        self._out.seek(0)
        self._err.seek(0)
        said = self._err.read(_ANSWER_MAX_BYTES).decode(errors="replace").strip().splitlines()
        if status < 0:
            return Outcome(f"{self._what} was ended by signal {-status}")
        if status != 0:
            return Outcome(said[-1][:_SENTENCE_MAX] if said else f"{self._what} ended with status {status}")
        try:
            return Outcome(frame_ms=msgspec.json.decode(self._out.read(_ANSWER_MAX_BYTES), type=ErrandAnswer).frame_ms)
        except msgspec.DecodeError as error:
            return Outcome(f"{self._what} answered nonsense: {error}")


def fetching(parcel: Parcel, folder: Path, *, monotonic_s: Callable[[], float]) -> ChildErrand:
    """Begin to fill ``folder`` with the parcel's files; what is there already is not fetched again."""
    confinement = Confinement(module="edge.models.fetch", write=(str(folder.absolute()),), has_network=True)
    return ChildErrand(
        confined_command(msgspec.structs.replace(confinement, arguments=(str(folder.absolute()),))),
        order=msgspec.json.encode(parcel),
        monotonic_s=monotonic_s,
        timeout_s=FETCH_TIMEOUT_S,
        what="the download",
    )


def trying(
    model: Path,
    *,
    monotonic_s: Callable[[], float],
    threads: int = 1,
    runner: str = "",
    is_fallback_allowed: bool = False,
) -> ChildErrand:
    """Begin to try the ONNX file ``model`` of the store, run as the vision would run it."""
    path = model.absolute()
    fallback = ("--fallback",) if is_fallback_allowed else ()
    arguments = (str(path), "--threads", str(threads), "--runner", runner, *fallback)
    return ChildErrand(
        confined_command(Confinement(module="edge.models.trial", read=(str(path.parent),), arguments=arguments)),
        monotonic_s=monotonic_s,
        timeout_s=TRIAL_TIMEOUT_S,
        what="the trial",
    )
