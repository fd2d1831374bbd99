"""A device's history of envelopes, receipts, stops, crashes and lost or restored outboxes, in any order.

Invariants: no sequence is ever used twice, sequences increase, every envelope names the one before it (or, where that
is not known to the device, one it really made before, or its enrollment), and what was accepted and not receipted is
there after every crash. A crash is a copy of the files as they lie on the disk at that moment.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxError, OutboxLimits
from edge.keeping.outbox_lane import Lane
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from protocol.envelope import NO_MODEL, NO_PREVIOUS, Envelope, block_digest, open_envelope
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair, person

ENROLLMENT_DIGEST = b"\xee" * 32
HUB = key_pair("hub").public_key


class DeviceHistory(RuleBasedStateMachine):
    """The device's files against a simple memory of what it signed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="outbox-history-"))
        self.home = self.root / "0"
        self.lives = 0
        self.signed: dict[int, tuple[bytes, Envelope]] = {}  # everything ever signed, for the whole life of the device
        self.order: list[int] = []
        self.waiting: dict[int, bytes] = {}  # accepted, not receipted, and not in an outbox that was taken away
        self.known_end: bytes | None = None  # what the device's outbox says is the end of its chain
        self.backup: tuple[Path, dict[int, bytes], bytes | None] | None = None

    @initialize()
    def begin(self) -> None:
        self.home.mkdir()
        SequenceLedger.create(self.home / "sequence.json")
        self._open()

    def _open(self) -> None:
        self.ledger = SequenceLedger.open(self.home / "sequence.json")
        self.outbox = Outbox.open(self.home / "outbox.db", limits=OutboxLimits(receipts=2))
        self.lane = Lane(self.outbox, HUB)
        last = self.outbox.last()
        self.ledger.never_below(last.sequence if last else 0)
        self.signer = EnvelopeSigner(
            key_pair("device"),
            network=NETWORK,
            ledger=self.ledger,
            outbox=self.outbox,
            enrollment_digest=ENROLLMENT_DIGEST,
        )

    @rule(observations=st.integers(1, 3))
    def sign(self, observations: int) -> None:
        draft = Draft(
            BEACON, NO_MODEL, "1.0", PLACE, NOW_MS, tuple(person(len(self.order) * 10 + n) for n in range(observations))
        )
        (envelope,) = self.signer.sign(draft)
        _, opened = open_envelope(envelope.block)
        assert opened.sequence == envelope.sequence
        assert opened.sequence not in self.signed
        assert not self.order or opened.sequence > self.order[-1]
        if self.known_end is not None:
            assert opened.previous == self.known_end
        else:
            assert opened.previous == (NO_PREVIOUS if opened.sequence == 1 else ENROLLMENT_DIGEST)
        self.signed[opened.sequence] = (envelope.digest, opened)
        self.order.append(opened.sequence)
        self.waiting[opened.sequence] = envelope.digest
        self.known_end = envelope.digest

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 5), verdict=st.sampled_from(Verdict), is_forged=st.booleans())
    def hear_receipt(self, *, which: int, verdict: Verdict, is_forged: bool) -> None:
        sequence = sorted(self.waiting)[which % len(self.waiting)]
        digest = bytes(32) if is_forged else self.waiting[sequence]
        settled = self.lane.settle([ReceiptLine(sequence, digest, verdict)], receipt=b"r", heard_at_ms=UnixMs(NOW_MS))
        if verdict.is_final and not is_forged:
            assert settled == (sequence,)
            del self.waiting[sequence]
        else:
            assert settled == ()

    @rule(is_crash=st.booleans(), outbox_is=st.sampled_from(["kept", "lost", "restored"]))
    def start_again(self, *, is_crash: bool, outbox_is: str) -> None:
        """Stop and start, cleanly or by a crash; somebody may have taken the outbox away or put back an old copy."""
        home = self.home
        if is_crash:
            self.lives += 1
            home = self.root / str(self.lives)
            shutil.copytree(self.home, home)  # before anything is closed: what the disk holds at this moment
        self.outbox.close()
        self.ledger.close()
        self.home = home
        if outbox_is == "lost" or (outbox_is == "restored" and self.backup is not None):
            for path in self.home.glob("outbox.db*"):
                path.unlink()
            self.waiting, self.known_end = {}, None
        if outbox_is == "restored" and self.backup is not None:
            copy, waiting, self.known_end = self.backup
            shutil.copy(copy, self.home / "outbox.db")
            self.waiting = dict(waiting)
        self._open()

    @rule()
    def back_up(self) -> None:
        self.outbox.close()
        copy = self.root / "backup.db"
        shutil.copy(self.home / "outbox.db", copy)
        self.backup = (copy, dict(self.waiting), self.known_end)
        self.ledger.close()
        self._open()

    @rule()
    def disk_fills_up_for_one_envelope(self) -> None:
        connection = self.outbox.file.connection
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}")
        before = self.outbox.depth()
        try:
            self.sign(3)
        except OutboxError:
            assert self.outbox.depth() == before
        connection.execute("PRAGMA max_page_count=1000000")

    @invariant()
    def what_was_accepted_waits(self) -> None:
        if not hasattr(self, "outbox"):
            return
        depth = self.outbox.depth()
        sendable = {each.sequence: each.digest for each in self.lane.waiting(at_most=1_000)}
        assert depth.envelopes == len(self.waiting)
        assert len(sendable) + depth.refused == depth.envelopes
        assert sendable.items() <= self.waiting.items()
        assert all(block_digest(each.block) == each.digest for each in self.outbox.waiting(at_most=1_000))

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close()
            self.ledger.close()
        shutil.rmtree(self.root)


DeviceHistory.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestDeviceHistory = DeviceHistory.TestCase
