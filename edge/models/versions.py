"""The versions in a device's model store, and the one file that says which of them runs.

    models/state.json                 edge.models.rollout.RolloutState, written whole
    models/NAME/DIGEST16/NAME.onnx    one version; DIGEST16: the first digits of its manifest's SHA-256
                         NAME.toml    its manifest, the very bytes that were signed
                         NAME.sig.json  approvals, where there are any
                         ...          its self-test picture
    models/.fetching/DIGEST16/        a download under way, resumed after a restart
    models/.adding-*                  a version being put together

A version is put in place by one renaming, before the state points at it, and deleted after nothing points at it any
more; it never changes in between. Light: the process that holds the key imports this.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge.models.errors import ModelError
from edge.models.rollout import Ref, RolloutState, newest
from protocol.errors import MalformedError
from protocol.modelmanifest import ManifestHead, manifest_digest, parse_head, parse_signatures, write_signatures

SHIPPED_FOLDER: Final = Path(__file__).parent  # manifests that are part of the package
STATE_FILE: Final = "state.json"
SIGNATURES_SUFFIX: Final = ".sig.json"
MANIFEST_SUFFIX: Final = ".toml"
MODEL_SUFFIX: Final = ".onnx"
_DIGITS: Final = 16
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_STATE_MAX_BYTES: Final = 1 << 20

Change = Callable[[RolloutState], RolloutState]


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version as its files say; nothing is known of its signatures."""

    ref: Ref
    path: Path  # of the ONNX file
    manifest: bytes
    approvals: tuple[bytes, ...]
    head: ManifestHead


class ModelVersions:
    """The store's folder and state. Changes by several processes come one after the other. Raises ModelError only."""

    def __init__(self, folder: Path, *, at_step: Callable[[str], None] = lambda _step: None) -> None:
        """Use ``folder``, created when first needed; ``at_step`` is told each durable step once it is done."""
        self.folder = folder
        self._at_step = at_step
        self._read: tuple[tuple[int, int, int], RolloutState] | None = None

    def state(self) -> RolloutState:
        """Return what is written down; a fresh state where nothing is."""
        try:
            stat = (self.folder / STATE_FILE).stat()
        except OSError:
            return self._fresh()  # it says what is the matter
        mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if self._read is None or self._read[0] != mark:
            self._read = (mark, self._fresh())
        return self._read[1]

    def change(self, change: Change) -> RolloutState:
        """Apply ``change`` to the state, durably; delete what nothing points at any more. Return the new state."""
        with self._locked():
            return self._apply(change)

    def place(self, made: Path, ref: Ref, change: Change) -> RolloutState:
        """Move the finished folder ``made`` in as the version ``ref``, then apply ``change``; see `change`."""
        with self._locked():
            change(self._fresh())  # may refuse, before anything is touched
            target = self.folder_of(ref)
            for path in (*sorted(made.iterdir()), made):
                _sync(path)
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                made.rename(target)
            elif _is_same(made, target):  # a second time, or cut off between placing and writing down
                _take_signatures(made, target)
            else:  # its files do not fit its manifest: it could not have worked
                target.rename(made.with_name(made.name + ".damaged"))
                made.rename(target)
            _sync(target.parent)
            _sync(self.folder)
            self._at_step("placed")
            return self._apply(change)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder in the store in which to put a version together; it is gone afterwards."""
        with _as_model_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=self.folder, prefix=".adding-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def fetching(self, digest: str) -> Path:
        """Return the folder of the download of the manifest ``digest``, made; those of all others are given up."""
        with _as_model_error(self.folder):
            root = self.folder / ".fetching"
            root.mkdir(parents=True, exist_ok=True)
            for other in root.iterdir():
                if other.name != digest[:_DIGITS]:
                    shutil.rmtree(other, ignore_errors=True)
            (root / digest[:_DIGITS]).mkdir(exist_ok=True)
        return root / digest[:_DIGITS]

    def sign(self, ref: Ref, approvals: tuple[bytes, ...]) -> None:
        """Put ``approvals`` in the place of the signatures of ``ref``, whole or not at all."""
        path = self.folder_of(ref) / f"{ref.name}{SIGNATURES_SUFFIX}"
        with self._locked():
            _write_whole(path, write_signatures(approvals))

    def folder_of(self, ref: Ref) -> Path:
        """Return where the files of ``ref`` lie."""
        return self.folder / ref.name / ref.digest[:_DIGITS]

    def path_of(self, ref: Ref) -> Path:
        """Return the ONNX file of ``ref``."""
        return self.folder_of(ref) / f"{ref.name}{MODEL_SUFFIX}"

    def path_named(self, name: str) -> Path:
        """Return the ONNX file to run where the settings name ``name``.

        Raises:
            ModelError: the store has no such model.
        """
        state = self.state()
        current = state.current
        ref = current if current is not None and name in {current.name, state.asked} else newest(state, name)
        if ref is None or not _NAME.fullmatch(name) or not self.path_of(ref).is_file():
            known = ", ".join(each.name for each in state.stored) or "none yet"
            raise ModelError(
                f"The model store has no {name!r} (it has {known}): add it with `cairn-edge model add {name}`."
            )
        return self.path_of(ref)

    def version(self, ref: Ref) -> Version:
        """Return the version ``ref`` with its manifest read.

        Raises:
            ModelError: its files are missing, or the manifest is not the one that was stored.
        """
        path = self.path_of(ref)
        try:
            manifest = path.with_suffix(MANIFEST_SUFFIX).read_bytes()
            approvals = read_signatures(path)
            if not path.is_file():
                raise FileNotFoundError(str(path))
        except OSError as error:
            raise ModelError(
                f"The stored model {ref.name} has lost a file ({error}): add it again with `cairn-edge model add`."
            ) from error
        if manifest_digest(manifest).hex() != ref.digest:
            raise ModelError(
                f"The manifest of {ref.name} is not the one that was stored: somebody has changed it; "
                "add the model again with `cairn-edge model add`."
            )
        try:
            head = parse_head(manifest)
        except MalformedError as error:
            raise ModelError(f"The stored manifest of {ref.name} is not valid: {error}.") from error
        return Version(ref, path, manifest, approvals, head)

    def _fresh(self) -> RolloutState:
        path = self.folder / STATE_FILE
        try:
            return _decoded(path)
        except FileNotFoundError:
            return RolloutState()
        except OSError as error:
            raise ModelError(f"Cannot read {path}: {error.strerror}. Check its rights.") from error

    def _apply(self, change: Change) -> RolloutState:
        before = self._fresh()  # whoever holds the lock trusts no mark of time
        after = change(before)
        if after != before:
            with _as_model_error(self.folder):
                _write_whole(self.folder / STATE_FILE, msgspec.json.format(msgspec.json.encode(after), indent=1))
            self._at_step("state written")
            self._prune(after)
        return after

    def _prune(self, state: RolloutState) -> None:
        kept = {self.folder_of(ref) for ref in state.kept}
        for name in self.folder.glob("[!.]*"):
            for version in name.iterdir() if name.is_dir() else ():
                if version not in kept:
                    shutil.rmtree(version, ignore_errors=True)
                    self._at_step("pruned")
            if name.is_dir():
                with suppress(OSError):  # not empty: the usual case
                    name.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _as_model_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with _as_model_error(self.folder):
                yield
        finally:
            os.close(descriptor)


def read_signatures(model: Path) -> tuple[bytes, ...]:
    """Return the approvals beside the ONNX file ``model``; none where there is no ``.sig.json``.

    Raises:
        ModelError: the file holds no signatures.
    """
    path = model.with_suffix("").with_name(model.stem + SIGNATURES_SUFFIX)
    try:
        return parse_signatures(path.read_bytes())
    except FileNotFoundError:
        return ()
    except MalformedError as error:
        raise ModelError(f"{path} is damaged: {error}. Get it again.") from error


def ref_of(manifest: bytes, head: ManifestHead, *, is_own: bool = False) -> Ref:
    """Return the name under which the version with ``manifest`` is stored."""
    return Ref(head.name, manifest_digest(manifest).hex(), head.rollback_index, is_own)


def _decoded(path: Path) -> RolloutState:
    try:
        text = path.read_bytes()
        if len(text) > _STATE_MAX_BYTES:
            raise ModelError(f"{path} is no state of a model store: move it away and add the models again.")
        return msgspec.json.decode(text, type=RolloutState)
    except msgspec.DecodeError as error:
        raise ModelError(
            f"{path} is damaged ({error}): move it away and add the models again with `cairn-edge model add`."
        ) from error


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _is_same(made: Path, target: Path) -> bool:
    """Whether both folders hold the same files, signatures aside."""
    names = _unsigned(made)
    if names != _unsigned(target):
        return False
    return all((made / name).read_bytes() == (target / name).read_bytes() for name in names)


def _unsigned(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(SIGNATURES_SUFFIX))


def _take_signatures(made: Path, target: Path) -> None:
    for path in made.glob("*" + SIGNATURES_SUFFIX):
        path.replace(target / path.name)
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _as_model_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(f"Cannot write the model store {folder}: {error}. Check space and rights.") from error
