"""What an account earned, why, and what of it can be claimed: reports of this machine beside the state of the chain.

Chain state is read at most once a second and shared by all readers. If the chain cannot be read, the answer is an error
with the age of the last good reading; never an old figure passed off as new, and never a zero.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocol.units import UnixMs, Wei
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import ChainError
from rewards.chain.values import PostedRoot, ProvenClaim, RootInForce
from rewards.domain.report import EpochReport, Line
from rewards.domain.reportblocks import report_cid
from rewards.shelf import ReportShelf

FRESH_FOR_MS: Final = 1_000


class UnavailableError(Exception):
    """The answer is not known now. ``known_at_ms`` is when the chain was last read, None if never."""

    def __init__(self, sentence: str, *, known_at_ms: UnixMs | None) -> None:
        super().__init__(sentence)
        self.known_at_ms = known_at_ms


class UnknownError(Exception):
    """There is no such thing; the message says what there is."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """The contract's roots at one moment."""

    read_at_ms: UnixMs
    block_number: int
    roots: tuple[PostedRoot, ...]
    active: RootInForce | None
    pending: RootInForce | None

    def state_of(self, epoch: int) -> str:
        """Return ``active`` if claims may use what was earned up to ``epoch``, else ``pending``."""
        return "active" if self.active is not None and epoch <= self.active.epoch else "pending"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One device of the account in one epoch."""

    epoch: int
    state: str
    line: Line


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an account has earned since epoch 1, what of it is still in a challenge window, what was paid."""

    account: bytes
    earned_wei: Wei
    pending_wei: Wei
    claimed_wei: Wei
    claimable_wei: Wei
    lines: tuple[AccountLine, ...]
    chain: ChainState


@dataclass(frozen=True, slots=True)
class Proof:
    """An account's leaf under the active root, proven."""

    epoch: int
    root: bytes
    proven: ProvenClaim
    report: EpochReport


class PayBook:
    """Reads one contract and one shelf. Safe to share between threads."""

    def __init__(self, contract: RewardsContract, shelf: ReportShelf, clock: Callable[[], UnixMs]) -> None:
        self._contract = contract
        self._shelf = shelf
        self._clock = clock
        self._lock = threading.Lock()
        self._state: ChainState | None = None

    def chain(self) -> ChainState:
        """Return the state of the chain, at most ``FRESH_FOR_MS`` old.

        Raises:
            UnavailableError: the chain cannot be read.
        """
        with self._lock:
            now_ms = self._clock()
            if self._state is None or now_ms - self._state.read_at_ms > FRESH_FOR_MS:
                try:
                    self._state = ChainState(
                        read_at_ms=now_ms,
                        block_number=self._contract.block()[0],
                        # The list last: whatever was active or pending a moment before is in it.
                        active=self._contract.active_root(),
                        pending=self._contract.pending_root(),
                        roots=self._contract.roots(),
                    )
                except ChainError as error:
                    raise self._unavailable(error) from error
            return self._state

    def last_read_ms(self) -> UnixMs | None:
        """Return when the chain was last read with success."""
        return None if self._state is None else self._state.read_at_ms

    def posted_epochs(self) -> int | None:
        """Return how many epochs were posted when the chain was last read; None if it never was."""
        return None if self._state is None else len(self._state.roots)

    def report(self, epoch: int) -> tuple[EpochReport, PostedRoot]:
        """Return the report of a posted epoch with its root.

        Raises:
            UnknownError: that epoch has no root.
            UnavailableError: the chain cannot be read, or this machine has not computed that epoch yet.
        """
        state = self.chain()
        posted = next((root for root in state.roots if root.attestation.epoch == epoch), None)
        if posted is None:
            known = f"epochs 1 to {len(state.roots)} have one" if state.roots else "no epoch has one yet"
            raise UnknownError(f"epoch {epoch} has no root on chain; {known}")
        report = self._shelf.report(epoch)
        if report is None or report_cid(report).digest != posted.attestation.report_digest:
            raise UnavailableError(
                f"epoch {epoch} is being computed here; ask again in a moment", known_at_ms=state.read_at_ms
            )
        return report, posted

    def account(self, account: bytes, *, before: int | None, limit: int) -> AccountState:
        """Return what ``account`` earned, with its lines of at most ``limit`` epochs before epoch ``before``.

        Raises:
            UnavailableError: the chain cannot be read, or a report is not here yet.
        """
        state = self.chain()
        try:
            claimed_wei = self._contract.claimed_wei(account)
        except ChainError as error:
            raise self._unavailable(error) from error
        posted_wei = self._earned_wei(account, len(state.roots))
        active_wei = self._earned_wei(account, 0 if state.active is None else state.active.epoch)
        last = len(state.roots) if before is None else min(before - 1, len(state.roots))
        lines = [
            AccountLine(epoch, state.state_of(epoch), line)
            for epoch in range(last, max(0, last - limit), -1)
            for line in self.report(epoch)[0].lines
            if line.owner == account
        ]
        return AccountState(
            account=account,
            earned_wei=posted_wei,
            pending_wei=Wei(posted_wei - active_wei),
            claimed_wei=claimed_wei,
            claimable_wei=Wei(max(0, active_wei - claimed_wei)),
            lines=tuple(lines),
            chain=state,
        )

    def proof(self, account: bytes) -> Proof:
        """Return the proof that ``account`` can claim with now.

        Raises:
            UnknownError: no root is active, or the account has earned nothing under it.
            UnavailableError: the chain cannot be read, or the report is not here yet.
        """
        active = self.chain().active
        if active is None:
            raise UnknownError("no root is active yet; come back after the first challenge window")
        return prove(self.report(active.epoch)[0], account)

    def _earned_wei(self, account: bytes, epoch: int) -> Wei:
        return self.report(epoch)[0].earned_wei.get(account, Wei(0)) if epoch else Wei(0)

    def _unavailable(self, error: ChainError) -> UnavailableError:
        return UnavailableError(str(error), known_at_ms=self.last_read_ms())


def prove(report: EpochReport, account: bytes) -> Proof:
    """Return the proof of what ``account`` has earned up to the epoch of ``report``.

    Raises:
        UnknownError: it has earned nothing.
    """
    for index, claim in enumerate(report.claims()):
        if claim.account == account and claim.cumulative_wei:
            tree = report.tree()
            return Proof(report.epoch, tree.root, ProvenClaim(claim, tree.proof(index)), report)
    raise UnknownError(f"account 0x{account.hex()} has earned nothing up to epoch {report.epoch}")
