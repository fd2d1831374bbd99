"""Commands that show, prove, claim and audit: what anybody can check without trusting the service."""

from protocol.cid import Cid
from protocol.merkle import leaf_hash, verify
from rewards.audit import EpochAudit, audit
from rewards.chain.node import checksum, translated
from rewards.chain.values import PostedRoot, RootInForce
from rewards.commands.door import EXIT_MISMATCH, CommandError, Door, Outcome
from rewards.domain.errors import ReportError
from rewards.domain.report import EpochReport
from rewards.domain.reportblocks import read_report, report_cid
from rewards.gateway import Gateway, GatewayError
from rewards.http.shapes import proof_answer
from rewards.paybook import Proof, prove
from rewards.recompute import Waiting, recompute
from rewards.registry import ChainRegistry
from rewards.shelf import ReportShelf


def show_status(door: Door) -> Outcome:
    """Show the contract: roots, purses, terms.

    Raises:
        ChainError, DeploymentError: one sentence.
    """
    contract = door.contract()
    block_number, _, block_s = contract.block()
    terms, purses, roots = contract.terms(), contract.purses(), contract.roots()
    return Outcome(
        {
            "contract": contract.address,
            "block": block_number,
            "block_at_ms": block_s * 1_000,
            "posted_epochs": len(roots),
            "active": _root(contract.active_root()),
            "pending": _root(contract.pending_root()),
            "funded_wei": str(purses.funded_wei),
            "earned_wei": str(roots[-1].attestation.cumulative_total_wei if roots else 0),
            "claimed_wei": str(purses.claimed_wei),
            "bonded_wei": str(purses.bonded_wei),
            "epoch_cap_wei": str(terms.epoch_cap_wei),
            "attesters": [checksum(attester) for attester in terms.attesters],
            "quorum": terms.quorum,
            "challenge_seconds": terms.challenge_s,
        }
    )


def prove_account(door: Door, account: bytes, *, epoch: int | None) -> Outcome:
    """Show an account's leaf and proof under an epoch's root (default: the active one), checked against the chain.

    Raises:
        ChainError, DeploymentError, GatewayError, UnknownError, CommandError: one sentence.
    """
    registry = door.registry()
    posted = _posted(registry, epoch)
    found = prove(find_report(door, registry, posted), account)
    is_proven = _is_proven(registry, found, posted)
    door.say(f"The proof {'holds' if is_proven else 'does NOT hold'} against the root on chain.")
    shown = proof_answer(found).model_dump()
    return Outcome({**shown, "verified": is_proven}, 0 if is_proven else EXIT_MISMATCH)


def claim(door: Door, account: bytes | None, *, dry_run: bool) -> Outcome:
    """Have an account (default: the key's) paid what the active root says; the money goes to that account only.

    Raises:
        ChainError, DeploymentError, GatewayError, KeyFileError, UnknownError, CommandError: one sentence.
    """
    acting = door.acting()
    registry = door.registry()
    payee = account or acting.account
    found = prove(find_report(door, registry, _posted(registry, None)), payee)
    told: dict[str, object] = {
        "account": checksum(payee),
        "epoch": found.epoch,
        "root": "0x" + found.root.hex(),
        "earned_wei": str(found.proven.claim.cumulative_wei),
    }
    if dry_run:
        owed_wei = found.proven.claim.cumulative_wei - registry.contract.claimed_wei(payee)
        return Outcome({**told, "dry_run": True, "would_pay_wei": str(max(0, owed_wei))})
    paid = acting.claim(found.proven)
    return Outcome(
        {
            **told,
            "paid_wei": str(paid.total_wei),
            "transaction": "0x" + paid.mined.transaction_hash.hex(),
            "block": paid.mined.block_number,
            "gas": paid.mined.gas_used,
            "fee_wei": str(paid.mined.fee_wei),
        }
    )


def audit_epochs(door: Door, up_to: int | None) -> Outcome:
    """Recompute epochs 1 to ``up_to`` (default: the last posted) and say whether the roots on chain are the same.

    Raises:
        ChainError, DeploymentError, GatewayError, AuditError: one sentence.
    """
    registry = door.registry()
    last = up_to or max(1, len(registry.contract.roots()))
    reports = None if door.reports_url is None else Gateway(door.reports_url)
    hub = Gateway(door.hub_url)
    done: list[EpochAudit] = []
    try:
        for outcome in audit(hub, reports, registry, up_to=last, told=door.say):
            done.append(outcome)
            door.say(f"epoch {outcome.epoch}: " + ("same root" if outcome.is_same else f"{outcome.difference}"))
    finally:
        hub.close()
        if reports is not None:
            reports.close()
    is_same = all(outcome.is_same for outcome in done)
    verdict = f"same root for epochs 1 to {last}" if is_same else f"DIFFERENT from epoch {done[-1].epoch} on"
    door.say(verdict)
    return Outcome(
        {
            "same": is_same,
            "epochs": sum(outcome.is_same for outcome in done),
            "root": "0x" + done[-1].root.hex(),
            "envelopes": sum(outcome.envelopes for outcome in done),
            "observations": sum(outcome.observations for outcome in done),
            "paid_wei": str(sum(outcome.paid_wei for outcome in done)),
            "difference": None if is_same else {"epoch": done[-1].epoch, "says": done[-1].difference},
        },
        0 if is_same else EXIT_MISMATCH,
    )


def find_report(door: Door, registry: ChainRegistry, posted: PostedRoot) -> EpochReport:
    """Return the report of a posted epoch: from this machine, from a reward service, or computed from the hub's bytes.

    It does not matter whence: it must have the digest that is on chain.

    Raises:
        ChainError, GatewayError, SettlementError, ShelfError, CommandError: one sentence.
    """
    wanted = Cid.of_digest(posted.attestation.report_digest)
    epoch = posted.attestation.epoch
    if door.reports_folder.is_dir():
        kept = ReportShelf(door.reports_folder).report(epoch)
        if kept is not None and report_cid(kept) == wanted:
            return kept
    if door.reports_url is not None:
        gateway = Gateway(door.reports_url)
        try:
            return read_report(gateway.block(wanted), gateway.block)
        except (GatewayError, ReportError) as error:
            door.say(f"No report from the reward service ({error}); computing it from the hub's bytes.")
        finally:
            gateway.close()
    return _computed(door, registry, epoch, wanted)


def _computed(door: Door, registry: ChainRegistry, epoch: int, wanted: Cid) -> EpochReport:
    hub = Gateway(door.hub_url)
    report: EpochReport | None = None
    try:
        for root in registry.contract.roots()[:epoch]:
            door.say(f"epoch {root.attestation.epoch}: computing the report from {door.hub_url}")
            step = recompute(hub, registry, Cid.of_digest(root.attestation.manifest_digest), previous=report)
            if isinstance(step, Waiting):
                raise CommandError(step.reason)
            report = step
    finally:
        hub.close()
    if report is None or report_cid(report) != wanted:
        raise CommandError(
            f"Epoch {epoch} comes out differently than it was posted: run `cairn-rewards audit {epoch}`, or name"
            " a reward service with --reports."
        )
    return report


def _posted(registry: ChainRegistry, epoch: int | None) -> PostedRoot:
    contract = registry.contract
    if epoch is None:
        active = contract.active_root()
        if active is None:
            raise CommandError("No root is active yet: come back after the first challenge window.")
        epoch = active.epoch
    posted = contract.posted_root(epoch)
    if posted is None:
        raise CommandError(f"Epoch {epoch} has no root on chain: see `cairn-rewards status`.")
    return posted


def _is_proven(registry: ChainRegistry, found: Proof, posted: PostedRoot) -> bool:
    """Check the proof, and that the contract hashes the leaf as we do."""
    leaf = found.report.leaf(found.proven.claim)
    with translated():
        on_chain = registry.contract.calls.functions.leafOf(checksum(leaf[2]), leaf[3]).call()
    return bytes(on_chain) == leaf_hash(leaf) and verify(posted.attestation.root, leaf, found.proven.proof)


def _root(root: RootInForce | None) -> dict[str, object] | None:
    if root is None:
        return None
    return {
        "epoch": root.epoch,
        "root": "0x" + root.root.hex(),
        "cumulative_total_wei": str(root.cumulative_total_wei),
        "activates_at_ms": root.activates_at_s * 1_000,
    }
