"""Models for tests: the tiny detector under many manifests, publishers, offers, a keeper whose errands are quick."""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge.models.errands import Errand, Outcome, Parcel
from edge.models.keeper import ModelKeeper
from edge.models.offers import KeeperTerms
from edge.models.trust import Trust
from edge.models.versions import MODEL_SUFFIX, SIGNATURES_SUFFIX, ModelVersions
from protocol.identity import KeyPair
from protocol.modelmanifest import parse_head, write_signatures
from protocol.modeloffer import ModelOffer, approve, seal_offer
from protocol.units import UnixMs
from tests.conftest import ROOT
from tests.support.edge_story import NETWORK, key_pair

TINY: Final = ROOT / "firmware_sim" / "models" / "cairn-tiny.onnx"
PICTURE: Final = TINY.with_name("cairn-tiny-selftest.png")
NOW_MS: Final = UnixMs(1_800_000_000_000)  # 2027-01-15
HUB: Final = key_pair("hub")
DEVICE: Final = key_pair("device")
ANNA: Final = key_pair("publisher anna")
BEN: Final = key_pair("publisher ben")
STRANGER: Final = key_pair("publisher nobody knows")
BOTH: Final = Trust(frozenset({ANNA.public_key, BEN.public_key}), 2, DEVICE.public_key)
SEED: Final = bytes(16)


def manifest(
    name: str = "door", version: str = "1", *, index: int = 0, changes: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The tiny detector's manifest as a publisher would write it; ``changes`` are TOML values of its fields."""
    fields = {
        "name": f'"{name}"',
        "version": f'"{version}"',
        "source": '"http://127.0.0.1:9/door.onnx"',
        "rollback_index": str(index),
        "expires": "2028-01-01",
        **changes,
    }
    text = TINY.with_suffix(".toml").read_text()
    text = text.replace(
        "[selftest]", f'[selftest]\nimage_sha256 = "{hashlib.sha256(PICTURE.read_bytes()).hexdigest()}"'
    )
    for key, value in fields.items():
        line = f"{key} = {value}"
        text, count = re.subn(rf"^{key} = .*$", line, text, flags=re.MULTILINE)
        if not count:
            text = text.replace("[input]", f"{line}\n\n[input]", 1)
    return text.encode()


def without(text: bytes, key: str) -> bytes:
    return re.sub(rf"^{key} = .*\n".encode(), b"", text, flags=re.MULTILINE)


def signed(text: bytes, *publishers: KeyPair) -> tuple[bytes, ...]:
    return tuple(approve(text, each, signed_at_ms=NOW_MS) for each in publishers)


def lay_out(folder: Path, text: bytes, *publishers: KeyPair, model: bytes | None = None) -> Path:
    """Write model, manifest, picture and signatures as a publisher hands them over; return the ONNX file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = parse_head(text).name
    path = folder / f"{name}{MODEL_SUFFIX}"
    path.write_bytes(TINY.read_bytes() if model is None else model)
    path.with_suffix(".toml").write_bytes(text)
    shutil.copy(PICTURE, folder)
    if publishers:
        (folder / f"{name}{SIGNATURES_SUFFIX}").write_bytes(write_signatures(signed(text, *publishers)))
    return path


def offer(
    text: bytes, *publishers: KeyPair, percent: int = 100, issued_at_ms: int = NOW_MS, hub: KeyPair = HUB
) -> bytes:
    record = ModelOffer(
        version=1,
        network=NETWORK,
        manifest=text,
        approvals=signed(text, *publishers),
        sources=("/v1/models/{sha256}",),
        percent=percent,
        seed=SEED,
        issued_at_ms=UnixMs(issued_at_ms),
    )
    return seal_offer(record, hub)


@dataclass
class Done:
    """An errand that is over before it is asked."""

    result: Outcome

    def outcome(self) -> Outcome | None:
        return self.result

    def cancel(self) -> None:
        return


@dataclass
class Hanging:
    """An errand that goes on until it is cancelled."""

    is_cancelled: bool = False

    def outcome(self) -> Outcome | None:
        return Outcome("given up") if self.is_cancelled else None

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class QuickWorld:
    """A keeper over real files whose downloads and trials take no time; ``good`` says which versions pass."""

    folder: Path
    trust: Trust = BOTH
    asked: str = "door"
    network_is_up: bool = True
    network_hangs: bool = False
    bad_versions: frozenset[str] = frozenset()
    frame_ms: int = 20
    now_s: float = 0.0
    fetched: list[str] = field(default_factory=list)
    hanging: list[Hanging] = field(default_factory=list)
    at_step: Callable[[str], None] = lambda _step: None

    def __post_init__(self) -> None:
        self.versions = ModelVersions(self.folder, at_step=self.at_step)
        self.keeper = self.begin()

    def begin(self) -> ModelKeeper:
        """Start the agent's half again, over whatever lies on the disk."""
        terms = KeeperTerms(
            network=NETWORK,
            hub=HUB.public_key,
            device=DEVICE.public_key,
            trust=self.trust,
            asked=self.asked,
            hub_url="http://127.0.0.1:9",
            probation_s=600.0,
        )
        self.keeper = ModelKeeper(
            self.versions,
            terms,
            fetch=self._fetch,
            trial=self._try,
            now_ms=lambda: NOW_MS,
            monotonic_s=lambda: self.now_s,
        )
        self.keeper.start()
        return self.keeper

    def settle(self) -> int:
        """Step until nothing more happens; return how often the vision had to be restarted."""
        return sum(self.keeper.step() is not None for _ in range(4))

    def prove(self) -> None:
        """Let the current model work through its probation."""
        self.keeper.vision_works(frame_ms=self.frame_ms)
        self.now_s += 601.0
        self.keeper.step()

    @property
    def runs(self) -> str | None:
        """The version that runs, read from its manifest."""
        path = self.keeper.runs
        return None if path is None else parse_head(path.with_suffix(".toml").read_bytes()).version

    def _fetch(self, parcel: Parcel, folder: Path) -> Errand:
        self.fetched.append(parse_head(parcel.manifest).version)
        if self.network_hangs:
            self.hanging.append(Hanging())
            return self.hanging[-1]
        if not self.network_is_up:
            return Done(Outcome("the network is down"))
        lay_out(folder, parcel.manifest)
        (folder / f"{parse_head(parcel.manifest).name}{SIGNATURES_SUFFIX}").write_bytes(
            write_signatures(parcel.approvals)
        )
        self.at_step("fetched")
        return Done(Outcome())

    def _try(self, model: Path) -> Errand:
        self.at_step("trial begun")
        version = parse_head(model.with_suffix(".toml").read_bytes()).version
        if version in self.bad_versions:
            return Done(Outcome(f"{version} fails its self-test"))
        return Done(Outcome(frame_ms=self.frame_ms))
