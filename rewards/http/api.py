"""`/v1`: accounts, epochs, proofs; `/ipfs`: the blocks of the reports."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from protocol.cid import Cid
from protocol.errors import MalformedError
from rewards.addresses import AddressError, parse_address
from rewards.http import answers
from rewards.http.desk import Desk
from rewards.http.shapes import account_answer, epoch_answer, epoch_summary, network_answer, proof_answer

Limit = Annotated[int, Query(ge=1, le=100, description="At most this many epochs.")]
Before = Annotated[int | None, Query(ge=1, lt=2**53, description="Only epochs before this one.")]
_PROBLEMS: dict[int | str, dict[str, object]] = {
    404: {"model": answers.Problem},
    422: {"model": answers.Problem},
    503: {"model": answers.Problem},
}


def build_api(desk: Desk) -> APIRouter:
    """Return the routes over ``desk``."""
    api = APIRouter(responses=_PROBLEMS)
    _add_service_routes(api, desk)
    _add_account_routes(api, desk)
    _add_epoch_routes(api, desk)
    _add_gateway(api, desk)
    return api


def _add_service_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/v1/health", tags=["service"])
    def health() -> answers.Health:
        """Say how the service is doing. Answers even when the chain does not."""
        progress = desk.progress()
        return answers.Health(
            status="ok" if progress.trouble is None else "trouble",
            version=desk.version,
            now_ms=desk.clock(),
            doing=progress.doing,
            trouble=progress.trouble,
            trouble_since_ms=progress.trouble_since_ms,
            last_step_ms=progress.stepped_at_ms,
            chain_read_ms=desk.paybook.last_read_ms(),
            posted_epochs=desk.paybook.posted_epochs(),
            attests=desk.attests,
        )

    @api.get("/v1/network", tags=["service"])
    def network() -> answers.Network:
        """Say which contract pays and on what terms."""
        return network_answer(
            desk.terms,
            chain_id=desk.chain_id,
            contract=desk.contract,
            rpc=desk.public_rpc,
            next_epoch=len(desk.paybook.chain().roots) + 1,
        )


def _add_account_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/v1/accounts/{address}", tags=["accounts"])
    def account(address: str, limit: Limit = 30, before: Before = None) -> answers.AccountAnswer:
        """Show what an account earned, was paid and can claim, and why, device by device, newest epoch first."""
        found = desk.paybook.account(_account(address), before=before, limit=limit)
        newest = len(found.chain.roots) if before is None else min(before - 1, len(found.chain.roots))
        oldest = max(1, newest - limit + 1)
        return account_answer(found, before=oldest if oldest > 1 else None)

    @api.get("/v1/proofs/{address}", tags=["accounts"])
    def proof(address: str) -> answers.ProofAnswer:
        """Show the leaf and the proof that the contract pays an account on."""
        return proof_answer(desk.paybook.proof(_account(address)))


def _add_epoch_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/v1/epochs", tags=["epochs"])
    def epochs(limit: Limit = 30, before: Before = None) -> answers.EpochPage:
        """List the epochs whose root is on chain, newest first."""
        state = desk.paybook.chain()
        older = [root for root in reversed(state.roots) if before is None or root.attestation.epoch < before]
        rows = [epoch_summary(root, state) for root in older[:limit]]
        return answers.EpochPage(rows=rows, before=rows[-1].epoch if len(older) > limit else None)

    @api.get("/v1/epochs/{number}", tags=["epochs"])
    def epoch(number: int) -> answers.EpochAnswer:
        """Show one epoch with the line of every device."""
        report, root = desk.paybook.report(number)
        return epoch_answer(report, root, desk.paybook.chain())


def _add_gateway(api: APIRouter, desk: Desk) -> None:
    @api.head("/ipfs/{cid}", include_in_schema=False)
    @api.get("/ipfs/{cid}", tags=["gateway"], response_class=Response)
    def block(cid: str) -> Response:
        """Serve one block of a report, raw (trustless gateway): hash it yourself."""
        try:
            wanted = Cid.parse(cid)
        except MalformedError as error:
            raise HTTPException(400, "not a CID; it looks like bafyrei...") from error
        found = desk.shelf.block(wanted)
        if found is None:
            raise HTTPException(404, "this service holds only the blocks of its epoch reports")
        headers = {
            "Cache-Control": "public, max-age=29030400, immutable",
            "Content-Disposition": f'attachment; filename="{wanted}.bin"',
            "Etag": f'"{wanted}.raw"',
            "X-Ipfs-Path": f"/ipfs/{wanted}",
        }
        return Response(found, media_type="application/vnd.ipld.raw", headers=headers)


def _account(text: str) -> bytes:
    try:
        return parse_address(text)
    except AddressError as error:
        raise HTTPException(422, f"address: {error}") from error
