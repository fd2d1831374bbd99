"""A hub in a bottle: real devices, a real signed log, real segments and manifests, served over loopback HTTP.

Everything here is made with the bytes of ``protocol`` alone, so that the reward room is tested against the format and
not against another room's code. Chain time is moved by the tests, never waited for.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from protocol.beacon import Beacon
from protocol.car import car_header, car_section
from protocol.cid import CAR, Cid
from protocol.cose import sign1
from protocol.enrollment import Enrollment, parse_enrollment, seal_enrollment
from protocol.envelope import NO_MODEL, NO_PREVIOUS, Envelope, block_digest, parse_envelope, seal
from protocol.errors import MalformedError
from protocol.identity import KeyPair
from protocol.logbook import NO_RECORD, Intake, IntakeEntry, Policy, SegmentHeader, SegmentSeal
from protocol.manifest import EpochManifest, SegmentRef, VerdictRow, verdict_blocks
from protocol.observation import Observation, Position, Track, count_rewardable
from protocol.payload import encode_payload
from protocol.piece import PieceHasher
from protocol.units import Ppm, Udeg, UnixMs
from protocol.verdict import Verdict
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil
from rewards.chain.contract import RewardsContract
from rewards.gateway import Gateway
from rewards.registry import ChainRegistry

NETWORK = "bottle"
CHAIN_ID = 31_337
TOKEN_WEI = 10**18
EPOCH_MS = 120_000
PLACE = Position(Udeg(52_520_000), Udeg(13_405_000), 5_000, 90_000)


class Device:
    """A device that signs what it is told, in order."""

    def __init__(self, seed: int, owner: bytes) -> None:
        self.keys = KeyPair(hashlib.sha256(f"device {seed}".encode()).digest())
        self.owner = owner
        self._sequence = 0
        self._previous = NO_PREVIOUS

    def enroll(self, created_at_ms: int, owner: bytes | None = None, network: str = NETWORK) -> bytes:
        return seal_enrollment(Enrollment(1, network, owner or self.owner, UnixMs(created_at_ms)), self.keys)

    def watch(
        self,
        seen_at_ms: Sequence[int],
        *,
        position: Position = PLACE,
        signer: KeyPair | None = None,
        also: Sequence[Observation] = (),
    ) -> bytes:
        """Sign one envelope with a person seen at each of the given times, and whatever ``also`` is said."""
        self._sequence += 1
        block = seal(
            Envelope(
                version=1,
                network=NETWORK,
                boot=1,
                sequence=self._sequence,
                previous=self._previous,
                beacon=Beacon(1, bytes(32)),
                model_digest=NO_MODEL,
                agent_release="1.0",
                position=position,
                created_at_ms=UnixMs(max(seen_at_ms, default=1_000)),
                observations=(
                    *(
                        Track(number, 0, UnixMs(at_ms), UnixMs(at_ms), Ppm(900_000), 3, False, b"")  # noqa: FBT003
                        for number, at_ms in enumerate(seen_at_ms)
                    ),
                    *also,
                ),
            ),
            signer or self.keys,
        )
        self._previous = block_digest(block)
        return block


@dataclass
class Publisher:
    """Writes a hub's log and publishes it. The ``forge_*`` attributes let a test publish what no honest hub would."""

    started_at_ms: int
    hub: KeyPair = field(default_factory=lambda: KeyPair(hashlib.sha256(b"hub").digest()))
    blocks: dict[Cid, bytes] = field(default_factory=dict)
    pieces: dict[Cid, bytes] = field(default_factory=dict)
    manifests: list[EpochManifest] = field(default_factory=list)
    forge_rows: Callable[[list[VerdictRow]], list[VerdictRow]] = lambda rows: rows
    forge_segment: Callable[[bytes], bytes] = lambda car: car

    def __post_init__(self) -> None:
        self._head = NO_RECORD
        self._segment = 0
        self._batch = 0

    def interval(self, epoch: int) -> tuple[int, int]:
        start = self.started_at_ms + (epoch - 1) * EPOCH_MS
        return start, start + EPOCH_MS

    def publish(
        self, messages: Sequence[bytes], verdicts: dict[bytes, Verdict] | None = None, batches: int = 1
    ) -> EpochManifest:
        """Close the next epoch with ``messages``, all accepted unless ``verdicts`` (by digest) says otherwise."""
        epoch = len(self.manifests) + 1
        start, end = self.interval(epoch)
        received_at_ms = end - 1
        judged = [(block, (verdicts or {}).get(block_digest(block), Verdict.ACCEPTED)) for block in messages]
        parts = [judged[number::batches] for number in range(batches)]
        car = self.forge_segment(self._write_segment(epoch, start, received_at_ms, parts))
        rows = self.forge_rows([_row(block, verdict, received_at_ms) for part in parts for block, verdict in part])
        pages = verdict_blocks(epoch, rows)
        manifest = EpochManifest(
            network=NETWORK,
            hub=self.hub.public_key,
            epoch=epoch,
            started_at_ms=UnixMs(start),
            ended_at_ms=UnixMs(end),
            previous=Cid.of(self.manifests[-1].to_block()) if self.manifests else None,
            segments=(self._pin(car),),
            verdicts=Cid.of(pages[-1]),
            counts={},
        )
        for block in (*pages, manifest.to_block()):
            self.blocks[Cid.of(block)] = block
        self.manifests.append(manifest)
        return manifest

    def _write_segment(
        self, epoch: int, opened_at_ms: int, received_at_ms: int, parts: list[list[tuple[bytes, Verdict]]]
    ) -> bytes:
        self._segment += 1
        policy = Policy(60_000, 3_600_000, 86_400_000)
        head = SegmentHeader(1, NETWORK, self._segment, epoch, UnixMs(opened_at_ms), policy, self._head)
        header = self._sign(head)
        car = car_header(Cid.of(header)) + car_section(Cid.of(header), header)
        for part in parts:
            for block, verdict in part:
                if verdict.is_kept:
                    car += car_section(Cid.of(block), block)
            entries = tuple(IntakeEntry(block_digest(block), verdict) for block, verdict in part)
            self._batch += 1
            intake = self._sign(Intake(1, NETWORK, self._batch, UnixMs(received_at_ms), entries, (), self._head))
            car += car_section(Cid.of(intake), intake)
        kept = sum(verdict.is_kept for part in parts for _, verdict in part)
        seal_record = SegmentSeal(1, NETWORK, self._segment, len(parts), kept, UnixMs(received_at_ms), self._head)
        sealed = self._sign(seal_record)
        return car + car_section(Cid.of(sealed), sealed)

    def _sign(self, record: SegmentHeader | Intake | SegmentSeal) -> bytes:
        block = sign1(encode_payload(record), self.hub)
        self._head = block_digest(block)
        return block

    def _pin(self, car: bytes) -> SegmentRef:
        hasher = PieceHasher()
        hasher.update(car)
        piece = hasher.piece().cid
        self.pieces[piece] = car
        return SegmentRef(Cid.of_digest(hashlib.sha256(car).digest(), CAR), piece, len(car))


def _row(block: bytes, verdict: Verdict, received_at_ms: int) -> VerdictRow:
    try:
        signed, envelope = parse_envelope(block)
        sequence, observations = envelope.sequence, count_rewardable(envelope.observations)
    except MalformedError:
        signed, sequence, observations = parse_enrollment(block)[0], 0, 0
    return VerdictRow(block_digest(block), signed.key, sequence, verdict, UnixMs(received_at_ms), observations)


class Bottle:
    """The publisher behind HTTP, with the hub's public paths. ``spoil`` maps a path to other bytes to serve."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.spoil: dict[str, bytes] = {}
        self.failures: dict[str, int] = {}  # how many more times a path answers 503
        bottle = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                status, body = bottle.answer(self.path.split("?")[0])
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server uses
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.failures.get(path, 0) > 0:
            self.failures[path] -= 1
            return 503, b""
        if path in self.spoil:
            return 200, self.spoil[path]
        match path.strip("/").split("/"):
            case ["v1", "epochs", number] if int(number) <= len(self.publisher.manifests):
                manifest = Cid.of(self.publisher.manifests[int(number) - 1].to_block())
                return 200, json.dumps({"epoch": int(number), "state": "closed", "manifest": str(manifest)}).encode()
            case ["ipfs", cid]:
                found = self.publisher.blocks.get(Cid.parse(cid))
            case ["piece", cid]:
                found = self.publisher.pieces.get(Cid.parse(cid))
            case _:
                found = None
        return (404, b"") if found is None else (200, found)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@dataclass
class Town:
    """A chain, a contract, two contributors, a hub and its gateway."""

    node: Anvil
    contract: RewardsContract
    hub_account: RewardsAccount
    alice: RewardsAccount
    bob: RewardsAccount
    publisher: Publisher
    bottle: Bottle
    gateway: Gateway
    registry: ChainRegistry
    deployment: Path

    def pass_time_to(self, unix_ms: int) -> None:
        """Mine one block at or after that time, if there is none yet."""
        if self.contract.block()[2] * 1_000 < unix_ms:
            self.node.rpc("evm_setNextBlockTimestamp", -(-unix_ms // 1_000))
            self.node.rpc("evm_mine")

    def close_epoch(self, messages: Sequence[bytes], verdicts: dict[bytes, Verdict] | None = None) -> EpochManifest:
        manifest = self.publisher.publish(messages, verdicts)
        self.pass_time_to(manifest.ended_at_ms)
        return manifest
