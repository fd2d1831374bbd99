"""Settle epoch after epoch: wait until the hub has closed the next one, compute, keep the report, attest.

Where to go on is read from the chain at every step, so there is no position to lose: a runner that was killed between
any two lines does the right thing at its next step. Its folder may be deleted: every report of a posted epoch is
computed again from the hub's bytes and must come out as the chain says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.cid import Cid
from rewards.chain.acting import RewardsAccount
from rewards.chain.errors import RefusedError
from rewards.chain.values import Attestation, PostedRoot
from rewards.domain.report import EpochReport
from rewards.domain.reportblocks import report_cid
from rewards.gateway import Gateway
from rewards.recompute import Waiting, recompute
from rewards.registry import ChainRegistry
from rewards.shelf import ReportShelf


class RunnerError(Exception):
    """This machine computes something else than a quorum of hubs posted: somebody must look."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An epoch whose root is on chain now."""

    report: EpochReport
    root: PostedRoot


class EpochRunner:
    """One hub's attester. Its steps must not run in two threads at once."""

    def __init__(
        self, hub: Gateway, registry: ChainRegistry, shelf: ReportShelf, account: RewardsAccount | None
    ) -> None:
        """Attest as ``account``; with None reports are computed and kept, but nothing is sent."""
        self._hub = hub
        self._registry = registry
        self._shelf = shelf
        self._account = account
        self._verified = 0  # every posted epoch up to this one is on the shelf and as the chain says

    def step(self) -> Posted | Waiting:
        """Do the next thing there is to do.

        Raises:
            RunnerError: a posted epoch comes out differently here.
            GatewayError, SettlementError, ChainError, ShelfError: it cannot be done now; step again later.
        """
        roots = self._registry.contract.roots()
        previous = self._catch_up(roots)
        epoch = len(roots) + 1
        manifest_cid = self._hub.manifest_of(epoch)
        if manifest_cid is None:
            return Waiting(f"The hub has not closed epoch {epoch} yet.")
        report = self._kept(epoch, manifest_cid, previous)
        if report is None:
            computed = recompute(self._hub, self._registry, manifest_cid, previous=previous)
            if isinstance(computed, Waiting):
                return computed
            report = computed
            self._shelf.put(report)
        return self._attest(report)

    def _catch_up(self, roots: Sequence[PostedRoot]) -> EpochReport | None:
        """Make sure that the reports of all posted epochs are here and right; return the last one."""
        for root in roots[self._verified :]:
            said = root.attestation
            report = self._shelf.report(said.epoch)
            if report is None or report_cid(report).digest != said.report_digest:
                before = self._shelf.report(said.epoch - 1)
                computed = recompute(self._hub, self._registry, Cid.of_digest(said.manifest_digest), previous=before)
                if isinstance(computed, Waiting) or report_cid(computed).digest != said.report_digest:
                    raise RunnerError(
                        f"Epoch {said.epoch} comes out differently here than it was posted:"
                        f" run `cairn-rewards audit {said.epoch}` to see where."
                    )
                self._shelf.put(computed)
            self._verified = said.epoch
        return self._shelf.report(len(roots)) if roots else None

    def _kept(self, epoch: int, manifest_cid: Cid, previous: EpochReport | None) -> EpochReport | None:
        """Return the report computed before a crash or a wait, if it still follows."""
        report = self._shelf.report(epoch)
        before = None if previous is None else report_cid(previous)
        if report is None or (report.manifest, report.previous) != (manifest_cid, before):
            return None
        here = (self._registry.chain_id, self._registry.address)
        return report if (report.ledger.chain_id, report.ledger.contract) == here else None

    def _attest(self, report: EpochReport) -> Posted | Waiting:
        if self._account is None:
            return Waiting(f"Epoch {report.epoch} is computed; this service has no key, so others must attest it.")
        said = attestation_of(report)
        try:
            attested = self._account.attest(said)
        except RefusedError as error:
            if error.reason == "RootStillPending":
                return Waiting(str(error))
            raise
        if attested.posted is None:
            return Waiting(f"Epoch {report.epoch} is attested here; {attested.votes} hubs have said the same so far.")
        return Posted(report, attested.posted)


def attestation_of(report: EpochReport) -> Attestation:
    """Return what a hub says on chain about ``report``."""
    return Attestation(
        epoch=report.epoch,
        root=report.merkle_root,
        cumulative_total_wei=report.cumulative_total_wei,
        manifest_digest=report.manifest.digest,
        report_digest=report_cid(report).digest,
        registry_block=report.ledger.registry_block,
    )
