"""The hub's folder: its key, what it was founded as, and where the rest lies."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from hub.domain.schedule import EpochSchedule
from protocol.identity import KeyPair
from protocol.units import UnixMs


class HomeError(Exception):
    """The hub's folder is missing, unreadable, or belongs to something else."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a network's epochs are counted by; never changes."""

    network: str
    genesis_ms: UnixMs
    epoch_ms: int

    @property
    def schedule(self) -> EpochSchedule:
        """The epochs this gives."""
        return EpochSchedule(self.genesis_ms, self.epoch_ms)


@dataclass(frozen=True, slots=True)
class HubHome:
    """One hub's folder."""

    folder: Path

    @property
    def segments(self) -> Path:
        """The log."""
        return self.folder / "segments"

    @property
    def epochs(self) -> Path:
        """What was published about closed epochs."""
        return self.folder / "epochs"

    @property
    def pins(self) -> Path:
        """The local pin store."""
        return self.folder / "pins"

    @property
    def models(self) -> Path:
        """The model that is offered to devices."""
        return self.folder / "models"

    @property
    def broker(self) -> Path:
        """The embedded broker's own folder."""
        return self.folder / "broker"

    @property
    def database_url(self) -> str:
        """The default database."""
        return f"sqlite:///{(self.folder / 'hub.sqlite').resolve()}"

    def found(self, genesis: Genesis) -> None:
        """Make the folder, a key and the genesis; leave alone what is there already.

        Raises:
            HomeError: the folder was founded as something else, or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._key_path.exists():
                _create(self._key_path, secrets.token_bytes(32).hex() + "\n", mode=0o600)
            if not self._genesis_path.exists():
                _create(self._genesis_path, json.dumps(asdict(genesis), indent=2) + "\n", mode=0o644)
        except OSError as error:
            raise HomeError(f"cannot set up a hub in {self.folder}: {error.strerror}") from error
        if self.genesis() != genesis:
            raise HomeError(
                f"{self.folder} was set up as {json.dumps(asdict(self.genesis()))}: "
                "drop the flags that say otherwise, or use another --data folder"
            )

    @property
    def is_founded(self) -> bool:
        """Whether `found` was here before; raises `HomeError` where that cannot be seen."""
        try:
            return self._key_path.exists() and self._genesis_path.exists()
        except PermissionError as error:
            raise HomeError(f"{self.folder} is not yours to read: run as its owner, or use another --data") from error

    def signer(self) -> KeyPair:
        """Return the hub's key pair.

        Raises:
            HomeError: there is none, it is damaged, or others may read it.
        """
        try:
            mode = self._key_path.stat().st_mode & 0o077
            seed = bytes.fromhex(self._key_path.read_text().strip())
        except FileNotFoundError:
            raise HomeError(f"no hub in {self.folder}: run `cairn-hub init --data {self.folder}` first") from None
        except OSError as error:
            raise HomeError(f"cannot read {self._key_path} ({error.strerror}): run as its owner") from error
        except ValueError as error:
            raise HomeError(f"{self._key_path} is not a key: restore it from your copy") from error
        if mode:
            raise HomeError(f"others may read {self._key_path}: run `chmod 600 {self._key_path}`")
        if len(seed) != 32:
            raise HomeError(f"{self._key_path} is not a key: restore it from your copy")
        return KeyPair(seed)

    def genesis(self) -> Genesis:
        """Return what the hub was founded as.

        Raises:
            HomeError: nothing readable is there.
        """
        try:
            fields = json.loads(self._genesis_path.read_text())
            genesis = Genesis(str(fields["network"]), UnixMs(int(fields["genesis_ms"])), int(fields["epoch_ms"]))
        except FileNotFoundError:
            raise HomeError(f"no hub in {self.folder}: run `cairn-hub init --data {self.folder}` first") from None
        except OSError as error:
            raise HomeError(f"cannot read {self._genesis_path} ({error.strerror}): run as its owner") from error
        except (ValueError, KeyError, TypeError) as error:
            raise HomeError(f"{self._genesis_path} is damaged: restore it from your copy") from error
        return genesis

    @property
    def _key_path(self) -> Path:
        return self.folder / "hub.key"

    @property
    def _genesis_path(self) -> Path:
        return self.folder / "genesis.json"


def _create(path: Path, content: str, *, mode: int) -> None:
    """Write a file that is whole or not there."""
    arriving = path.with_suffix(".part")
    arriving.unlink(missing_ok=True)
    descriptor = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    arriving.replace(path)
