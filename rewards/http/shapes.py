"""From reports and chain state to answers."""

from protocol.cid import Cid
from protocol.merkle import leaf_hash
from rewards.chain.node import checksum
from rewards.chain.values import PostedRoot, Terms
from rewards.domain import report as reports
from rewards.domain.rulesets import ruleset_for
from rewards.http import answers
from rewards.paybook import AccountState, ChainState, Proof


def network_answer(terms: Terms, *, chain_id: int, contract: str, rpc: str | None, next_epoch: int) -> answers.Network:
    """Return what the contract was deployed with and which ruleset comes next."""
    ruleset = ruleset_for(next_epoch)
    return answers.Network(
        chain_id=chain_id,
        contract=contract,
        token=checksum(terms.token),
        rpc=rpc,
        attesters=[checksum(attester) for attester in terms.attesters],
        quorum=terms.quorum,
        challenge_seconds=terms.challenge_s,
        unbonding_seconds=terms.unbonding_s,
        epoch_cap_wei=str(terms.epoch_cap_wei),
        ruleset=ruleset.name,
        min_bond_wei=str(ruleset.min_bond_wei),
    )


def line_answer(epoch: int, state: str, line: reports.Line) -> answers.Line:
    """Return one device's line."""
    vantage = line.vantage
    return answers.Line(
        epoch=epoch,
        state=state,
        device=line.device.name,
        owner=None if line.owner is None else checksum(line.owner),
        vantage=None
        if vantage is None
        else answers.Vantage(lat_grid=vantage.lat_grid, lon_grid=vantage.lon_grid, octant=vantage.octant),
        active_slots=list(line.slots),
        envelopes=line.envelopes,
        observations=line.observations,
        weight_ppm=line.weight_ppm,
        share_wei=str(line.share_wei),
        reason=str(line.reason),
    )


def account_answer(found: AccountState, *, before: int | None) -> answers.AccountAnswer:
    """Return an account's state; ``before`` is where older epochs go on."""
    return answers.AccountAnswer(
        account=checksum(found.account),
        earned_wei=str(found.earned_wei),
        pending_wei=str(found.pending_wei),
        claimed_wei=str(found.claimed_wei),
        claimable_wei=str(found.claimable_wei),
        read_at_ms=found.chain.read_at_ms,
        lines=[line_answer(one.epoch, one.state, one.line) for one in found.lines],
        before=before,
    )


def epoch_summary(root: PostedRoot, state: ChainState) -> answers.EpochSummary:
    """Return what the chain says about an epoch."""
    said = root.attestation
    return answers.EpochSummary(
        epoch=said.epoch,
        state=state.state_of(said.epoch),
        root=_hex(said.root),
        manifest=str(Cid.of_digest(said.manifest_digest)),
        report=str(Cid.of_digest(said.report_digest)),
        cumulative_total_wei=str(said.cumulative_total_wei),
        registry_block=said.registry_block,
        activates_at_ms=root.activates_at_s * 1_000,
        transaction=_hex(root.transaction_hash),
    )


def epoch_answer(report: reports.EpochReport, root: PostedRoot, state: ChainState) -> answers.EpochAnswer:
    """Return an epoch with its lines."""
    return answers.EpochAnswer(
        **epoch_summary(root, state).model_dump(),
        network=report.network,
        ruleset=report.ruleset,
        pool_wei=str(report.pool_wei),
        paid_wei=str(report.pool_wei - report.unallocated_wei),
        unallocated_wei=str(report.unallocated_wei),
        devices=len(report.lines),
        accounts=len(report.accounts),
        lines=[line_answer(report.epoch, state.state_of(report.epoch), line) for line in report.lines],
    )


def proof_answer(found: Proof) -> answers.ProofAnswer:
    """Return what a claim needs."""
    leaf = found.report.leaf(found.proven.claim)
    chain_id, contract, account, cumulative_wei = leaf
    return answers.ProofAnswer(
        epoch=found.epoch,
        root=_hex(found.root),
        leaf=answers.LeafAnswer(
            chain_id=chain_id,
            contract=checksum(contract),
            account=checksum(account),
            cumulative_wei=str(cumulative_wei),
        ),
        leaf_hash=_hex(leaf_hash(leaf)),
        proof=[_hex(sibling) for sibling in found.proven.proof],
    )


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
