"""The two things that take long, each beside the process that asks for it: fetching (a thread), trying (a process)."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from edge.models.download import Wanted, download
from edge.models.errors import ModelError
from edge.models.versions import MANIFEST_SUFFIX, MODEL_SUFFIX, SIGNATURES_SUFFIX
from protocol.modeloffer import PICTURE_MAX_BYTES, ManifestHead, write_signatures

TRIAL_TIMEOUT_S: Final = 180.0  # a first load may compile for a while on a small board
_SENTENCE_MAX: Final = 500


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
        """Give it up: soon nothing of it goes on."""
        ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """A believed model that is to be fetched, and where it is to be had."""

    head: ManifestHead
    manifest: bytes
    approvals: tuple[bytes, ...]
    model_sources: tuple[str, ...]
    picture_sources: tuple[str, ...]
    plain_http: str  # the hub's own address, which needs no https


Fetch = Callable[[Parcel, Path], Errand]
Try = Callable[[Path], Errand]


class _GivenUpError(ModelError):
    """The download was cancelled."""


class Fetching:
    """Fills a folder with a parcel's files on a thread of its own; what is there already is not fetched again."""

    def __init__(self, parcel: Parcel, folder: Path) -> None:
        """Begin; ``folder`` exists."""
        self._parcel = parcel
        self._folder = folder
        self._is_given_up = threading.Event()
        self._outcome: Outcome | None = None
        threading.Thread(target=self._run, name="model-fetch", daemon=True).start()

    def outcome(self) -> Outcome | None:
        """See `Errand`."""
        return self._outcome

    def cancel(self) -> None:
        """See `Errand`."""
        self._is_given_up.set()

    def _run(self) -> None:
        try:
            fetch(self._parcel, self._folder, report=self._go_on)
            self._outcome = Outcome()
        except (ModelError, OSError) as error:
            self._outcome = Outcome(str(error))

    def _go_on(self, _so_far: int, _in_all: int) -> None:
        if self._is_given_up.is_set():
            raise _GivenUpError("the download was given up")


def fetch(parcel: Parcel, folder: Path, *, report: Callable[[int, int], None]) -> None:
    """Fill ``folder`` with the parcel's four files.

    Raises:
        ModelError: a file cannot be had.
        OSError: ``folder`` cannot be written.
    """
    head = parcel.head
    if head.selftest.image_sha256 is None:
        raise ModelError(f"{head.name} does not pin its self-test picture: it cannot be fetched.")
    picture = Wanted(head.selftest.image, head.selftest.image_sha256, PICTURE_MAX_BYTES, is_exact=False)
    model = Wanted(head.name, head.sha256, head.size_bytes)
    for wanted, sources, name in (
        (picture, parcel.picture_sources, head.selftest.image),
        (model, parcel.model_sources, head.name + MODEL_SUFFIX),
    ):
        if not (folder / name).exists():
            download(wanted, sources, folder / name, report=report, plain_http=parcel.plain_http)
    (folder / (head.name + MANIFEST_SUFFIX)).write_bytes(parcel.manifest)
    if parcel.approvals:
        (folder / (head.name + SIGNATURES_SUFFIX)).write_bytes(write_signatures(parcel.approvals))


class _TrialAnswer(msgspec.Struct, frozen=True):
    frame_ms: int


class Trying:
    """Runs `edge.models.trial` in a process of its own; ends it when it takes too long."""

    def __init__(
        self,
        model: Path,
        *,
        threads: int,
        monotonic_s: Callable[[], float],
        timeout_s: float = TRIAL_TIMEOUT_S,
        module: str = "edge.models.trial",
    ) -> None:
        """Begin with the ONNX file ``model``."""
        self._model = model
        self._monotonic_s = monotonic_s
        self._give_up_at_s = monotonic_s() + timeout_s
        self._outcome: Outcome | None = None
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 # closed with the outcome
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", module, str(model), "--threads", str(threads)]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err)

    def outcome(self) -> Outcome | None:
        """See `Errand`."""
        if self._outcome is None:
            status = self._child.poll()
            if status is None and self._monotonic_s() > self._give_up_at_s:
                self._end("its trial takes too long")
            elif status is not None:
                self._end(None, status)
        return self._outcome

    def cancel(self) -> None:
        """See `Errand`."""
        if self._outcome is None:
            self._end("its trial was given up")

    def _end(self, problem: str | None, status: int = 0) -> None:
        if problem is not None:
            self._child.kill()
            self._child.wait()
            self._outcome = Outcome(problem)
        else:
            self._outcome = self._answer(status)
        self._out.close()
        self._err.close()

    def _answer(self, status: int) -> Outcome:
        self._out.seek(0)
        self._err.seek(0)
        said = self._err.read().decode(errors="replace").strip().splitlines()
        if status < 0:
            return Outcome(f"its trial was ended by signal {-status}")
        if status != 0:
            return Outcome(said[-1][:_SENTENCE_MAX] if said else f"its trial ended with status {status}")
        try:
            return Outcome(frame_ms=msgspec.json.decode(self._out.read(), type=_TrialAnswer).frame_ms)
        except msgspec.DecodeError as error:
            return Outcome(f"its trial answered nonsense: {error}")
