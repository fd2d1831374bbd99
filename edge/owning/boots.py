"""Starts counted twice: by the sequence file, and by a counter that no copy of the disk can turn back.

The counter of a TPM or a secure element wears out (an ATECC608 stops at 2,097,151), so it goes up once every so many
starts, never with an observation. Between the two the difference stays the same, and is written down at the first
start. A counter that is *ahead* of the file says that the file is an old copy: the numbers since may all be used.

Call `count_boot` after the sequence file has counted the start: a crash between the two leaves the counter behind,
which is harmless, and never ahead.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired, run
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from edge.errors import EdgeError
from edge.log import get_logger
from edge.owning.anchors import BootPlace
from edge.owning.identity import sync_directory
from edge.place import BOOTS_FILE

SEQUENCE_JUMP: Final = 1 << 32  # more envelopes than a device signs in 13 years at ten a second
_TOOL_WAIT_S: Final = 20.0
_COUNTER_BYTES: Final = 8

log = get_logger()


class BootCounterError(EdgeError):
    """The monotonic counter cannot be read or advanced; the message says what to do."""


class BootCounter(Protocol):
    """A number that only ever goes up, whatever happens to the disk. One error family: BootCounterError."""

    def read(self) -> int:
        """Return the number; the same until `advance`.

        Raises:
            BootCounterError: it cannot be read.
        """
        ...

    def advance(self) -> int:
        """Make it greater and return it.

        Raises:
            BootCounterError: it cannot be advanced, or never again.
        """
        ...


class BootCount(Struct, frozen=True):
    """What a start has found out."""

    boot: int  # never below the file's count
    is_restored: bool  # the disk is an old copy: go on above `SEQUENCE_JUMP` numbers


class _Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """At the first start: what the counter showed beyond the file's steps."""

    offset: int
    every: int


def count_boot(counter: BootCounter, *, file_boot: int, every: int, directory: Path) -> BootCount:
    """Compare the start that the sequence file has just counted with the counter, and advance that when it is due.

    Where `BootCount.is_restored`, raise the file's count to `BootCount.boot` and its numbers by `SEQUENCE_JUMP`
    before anything is signed; until that is done every start finds the same.

    Args:
        counter: what cannot be turned back.
        file_boot: the file's count, this start included.
        every: starts for one step of the counter.
        directory: where the difference of the two is written down.

    Raises:
        BootCounterError: the counter or the file that goes with it cannot be used.
    """
    path = directory / BOOTS_FILE
    shown, baseline = counter.read(), _read_baseline(path)
    before, now = (file_boot - 1) // every, file_boot // every
    if baseline is None or baseline.every != every:
        _write_baseline(path, _Baseline(shown - before, every))
        ahead = 0
    else:
        ahead = shown - (before + baseline.offset)
    if ahead < 0:
        # A crash between the two, or another counter: it tells nothing of the past, but will of what comes.
        log.warning("boot_counter_behind", steps=-ahead)
        _write_baseline(path, _Baseline(shown - before, every))
    if ahead > 0:
        counter.advance()
        boot = (before + ahead + 1) * every
        log.error("disk_is_an_old_copy", boot_of_file=file_boot, boot=boot)
        return BootCount(boot, is_restored=True)
    if now > before:
        counter.advance()
    return BootCount(file_boot, is_restored=False)


class FileCounter:
    """A counter in a file: for tests and for trying out. It proves nothing, since it can be copied with the disk."""

    def __init__(self, path: Path, *, limit: int = 2_097_151) -> None:
        """Keep the number in ``path``; go up to ``limit`` and no further, like the counter of an ATECC608."""
        self._path = path
        self._limit = limit

    def read(self) -> int:
        """See `BootCounter`."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise BootCounterError(f"the counter in {self._path} cannot be read: restore it from your copy") from error

    def advance(self) -> int:
        """See `BootCounter`."""
        number = self.read() + 1
        if number > self._limit:
            raise BootCounterError(f"the counter in {self._path} has reached its end ({self._limit}): use another one")
        try:
            _write(self._path, b"%d\n" % number)
        except OSError as error:
            raise BootCounterError(f"the counter in {self._path} cannot be written: {error.strerror}") from error
        return number


Tool = Callable[[Sequence[str], Mapping[str, str]], CompletedProcess[bytes]]


def _run_tool(words: Sequence[str], environment: Mapping[str, str]) -> CompletedProcess[bytes]:
    return run(words, env=environment, capture_output=True, timeout=_TOOL_WAIT_S, check=False)


class TpmCounter:
    """An NV counter of a TPM 2.0, through tpm2-tools (5 or newer). Made at the first use, by the TPM's owner."""

    def __init__(
        self, *, index: int, environment: Mapping[str, str], tcti: str = "", run_tool: Tool = _run_tool
    ) -> None:
        """Use the NV counter at ``index``; ``tcti`` says where the TPM is (empty: as tpm2-tools find it)."""
        self._index = f"{index:#x}"
        self._environment = {**environment, "TSS2_LOG": "all+none"} | ({"TPM2TOOLS_TCTI": tcti} if tcti else {})
        self._run_tool = run_tool

    def read(self) -> int:
        """See `BootCounter`."""
        if self._index not in self._ask("tpm2_getcap", "handles-nv-index").decode(errors="replace").lower():
            rights = "ownerread|ownerwrite|authread|authwrite|nt=counter"
            self._ask("tpm2_nvdefine", self._index, "-C", "o", "-s", str(_COUNTER_BYTES), "-a", rights)
            self._ask("tpm2_nvincrement", self._index, "-C", "o")  # until then it cannot be read
        raw = self._ask("tpm2_nvread", self._index, "-C", "o", "-s", str(_COUNTER_BYTES))
        if len(raw) != _COUNTER_BYTES:
            raise BootCounterError(f"the TPM's index {self._index} is no counter: set another tpm_index in [boots]")
        return int.from_bytes(raw)

    def advance(self) -> int:
        """See `BootCounter`."""
        self.read()
        self._ask("tpm2_nvincrement", self._index, "-C", "o")
        return self.read()

    def _ask(self, tool: str, *words: str) -> bytes:
        try:
            outcome = self._run_tool([tool, *words], self._environment)
        except FileNotFoundError as error:
            raise BootCounterError(f"{tool} is not installed: run `apt install tpm2-tools`") from error
        except (OSError, TimeoutExpired) as error:
            raise BootCounterError(f"{tool} does not answer ({error}): check the TPM") from error
        if outcome.returncode:
            lines = outcome.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise BootCounterError(f"{tool} failed ({lines[0][:200]}): check the TPM and [boots] in the settings")
        return outcome.stdout


def open_counter(place: BootPlace, environment: Mapping[str, str]) -> BootCounter | None:
    """Return the counter that ``place`` names; None for none. ``environment`` is where its tools find themselves."""
    if place.counter == "none":
        return None
    return TpmCounter(index=place.tpm_index, tcti=place.tpm_tcti, environment=environment)


def _read_baseline(path: Path) -> _Baseline | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Baseline)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise BootCounterError(f"{path} cannot be read ({error}): restore it from your copy") from error


def _write_baseline(path: Path, baseline: _Baseline) -> None:
    try:
        _write(path, msgspec.json.encode(baseline) + b"\n")
    except OSError as error:
        raise BootCounterError(f"{path} cannot be written: {error.strerror}; free or unlock the disk") from error


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
