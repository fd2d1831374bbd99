"""Devices and a hub for tests: real keys, real envelopes, the real rules, no disk and no clock of their own."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hub.domain.admission import Message, Opened, admit, open_message
from hub.domain.judging import EpochTerms
from hub.domain.records import LogEntry
from hub.domain.standing import MemoryStanding
from hub.log.segments import BatchRef, LogTerms, SegmentLog
from protocol.beacon import Beacon, BeaconNotice
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.envelope import NO_MODEL, NO_PREVIOUS, Envelope, block_digest, seal
from protocol.identity import KeyPair
from protocol.logbook import Policy
from protocol.observation import Observation, Position, Track
from protocol.topics import enrollment_topic, envelope_topic
from protocol.units import Ppm, Udeg, UnixMs
from protocol.verdict import Verdict

NETWORK = "test-net"
POLICY = Policy(max_clock_skew_ms=5_000, beacon_window_ms=60_000, max_lateness_ms=600_000)
START_MS = UnixMs(1_800_000_000_000)
BEACON = Beacon(7, hashlib.sha256(b"block 7").digest())
HUB = KeyPair(hashlib.sha256(b"hub").digest())
EPOCH_MS = 3_600_000
EPOCH_1 = EpochTerms(NETWORK, 1, START_MS, UnixMs(START_MS + EPOCH_MS))


def log_terms(policy: Policy = POLICY, max_segment_bytes: int = 1 << 30) -> LogTerms:
    return LogTerms(NETWORK, HUB, policy, max_segment_bytes)


def track(track_id: int, seen_ms: int = START_MS) -> Track:
    return Track(track_id, 0, UnixMs(seen_ms), UnixMs(seen_ms + 900), Ppm(800_000), 9, continues=False, sketch=b"")


class StoryDevice:
    """A device that signs whatever a test asks for; by default a good next envelope."""

    def __init__(self, seed: int, network: str = NETWORK) -> None:
        self.keys = KeyPair(hashlib.sha256(b"device %d" % seed).digest())
        self.network = network
        self.sequence = 0
        self.previous = NO_PREVIOUS
        self._next_track_id = 1000 * seed

    def enrollment(self, created_at_ms: int = START_MS, owner: bytes = b"\x11" * 20) -> Message:
        block = seal_enrollment(Enrollment(1, self.network, owner, UnixMs(created_at_ms)), self.keys)
        return Message(enrollment_topic(self.network, self.keys.public_key), block)

    def envelope(
        self,
        created_at_ms: int = START_MS,
        *,
        sequence: int | None = None,
        previous: bytes | None = None,
        beacon: Beacon = BEACON,
        observations: Sequence[Observation] | None = None,
    ) -> Message:
        """The next envelope; with ``sequence`` given, one beside the chain."""
        if observations is None:
            self._next_track_id += 1
            observations = (track(self._next_track_id, created_at_ms),)
        content = Envelope(
            version=1,
            network=self.network,
            boot=1,
            sequence=self.sequence + 1 if sequence is None else sequence,
            previous=self.previous if previous is None else previous,
            beacon=beacon,
            model_digest=NO_MODEL,
            agent_release="1.0",
            position=Position(Udeg(46_500_000), Udeg(6_600_000), 5_000, -1),
            created_at_ms=UnixMs(created_at_ms),
            observations=tuple(observations),
        )
        block = seal(content, self.keys)
        if sequence is None:
            self.sequence += 1
            self.previous = block_digest(block)
        return Message(envelope_topic(self.network, self.keys.public_key), block)


def relayed(standing: MemoryStanding, beacon: Beacon = BEACON, made_at_ms: int = START_MS) -> MemoryStanding:
    at_ms = UnixMs(made_at_ms)
    standing.learn_beacon(BeaconNotice(1, NETWORK, beacon, at_ms, at_ms, bytes(32)))
    return standing


class StoryHub:
    """Admits and logs as the hub's intake does, one batch after the other."""

    def __init__(
        self, directory: Path, *, epoch: int = 1, at_ms: int = START_MS, max_segment_bytes: int = 1 << 30
    ) -> None:
        terms = log_terms(max_segment_bytes=max_segment_bytes)
        self.log = SegmentLog.open(directory, terms, epoch=epoch, opened_at_ms=UnixMs(at_ms))
        self.standing = MemoryStanding()

    def relay(self, beacon: Beacon = BEACON, made_at_ms: int = START_MS) -> None:
        at_ms = max(UnixMs(made_at_ms), self.log.latest_at_ms)
        self.log.append_notice(beacon, made_at_ms=UnixMs(made_at_ms), relayed_at_ms=at_ms)
        relayed(self.standing, beacon, made_at_ms)

    def take(self, *messages: Message, at_ms: int = START_MS) -> tuple[list[Verdict], BatchRef]:
        received_at_ms = max(UnixMs(at_ms), self.log.latest_at_ms)
        entries: list[LogEntry] = []
        for message in messages:
            opened: Opened = open_message(message, NETWORK)
            verdict = admit(opened, self.standing, self.log.policy, received_at_ms=received_at_ms)
            self.standing.learn(opened, verdict)
            entries.append(LogEntry(opened.digest, verdict, opened.block if verdict.is_kept else None))
        return [entry.verdict for entry in entries], self.log.append_batch(entries, received_at_ms=received_at_ms)
