"""`/v1`: what the hub knows, in pages."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from hub.http import answers
from hub.http.desk import Desk
from hub.http.shapes import (
    device_answer,
    device_detail_answer,
    epoch_answer,
    health_answer,
    network_answer,
    observation_answer,
    page,
    verdict_answer,
)
from hub.store import reading
from hub.store.epochs import EpochRow, epoch_row, epoch_rows
from hub.store.tables import ObservationKind
from protocol.classes import COCO_CLASSES
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.verdict import Verdict

Limit = Annotated[int, Query(ge=1, le=answers.MAX_LIMIT, description="At most this many rows.")]
After = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,19}$", description="`after` of the page before; leave out for the first.")
]
EpochNumber = Annotated[int | None, Query(ge=1, lt=2**53)]
DeviceName = Annotated[str | None, Query(description="A device's name (z6Mk...) or did:key.")]
VerdictSlug = Annotated[str | None, Query(description="A verdict: accepted, duplicate, replay...")]
Moment = Annotated[int | None, Query(ge=0, lt=2**53, description="Milliseconds since 1970.")]


def build_api(desk: Desk) -> APIRouter:
    """Return the routes over ``desk``."""
    api = APIRouter(prefix="/v1", responses={422: {"model": answers.Problem}, 503: {"model": answers.Problem}})
    _add_hub_routes(api, desk)
    _add_device_routes(api, desk)
    _add_log_routes(api, desk)
    _add_epoch_routes(api, desk)
    return api


def _add_hub_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/health", tags=["hub"])
    def health() -> answers.Health:
        """Say how the hub is doing."""
        return health_answer(desk.facts, desk.pulse(), desk.clock())

    @api.get("/network", tags=["hub"])
    def network() -> answers.Network:
        """Say what a device or a contributor must know to take part."""
        return network_answer(desk.facts, desk.clock())


def _add_device_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/devices", tags=["devices"])
    def devices(limit: Limit = 100, after: After = None) -> answers.Page[answers.Device]:
        """List enrolled devices in order of enrollment."""
        window = _window(limit, after)
        with desk.store.database.reading() as connection:
            rows = reading.devices(connection, window)
        return page([(row.cursor, device_answer(row)) for row in rows], limit)

    @api.get("/devices/{name}", tags=["devices"], responses={404: {"model": answers.Problem}})
    def device(name: str) -> answers.DeviceDetail:
        """Show one device."""
        with desk.store.database.reading() as connection:
            found = reading.device(connection, _device_name(name) or name)
        if found is None:
            raise HTTPException(404, "no such device enrolled here; its name is the z6Mk... that `cairn-edge` shows")
        return device_detail_answer(found)


def _add_log_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/observations", tags=["observations"])
    def observations(  # noqa: PLR0913 # one parameter a filter is how FastAPI documents them
        *,
        limit: Limit = 100,
        after: After = None,
        device: DeviceName = None,
        epoch: EpochNumber = None,
        verdict: VerdictSlug = None,
        kind: Annotated[answers.ObservationName | None, Query(description="Only observations of this kind.")] = None,
        class_name: Annotated[
            str | None, Query(description="person, car, bicycle...: tracks, crossings and stays of this class.")
        ] = None,
        from_ms: Moment = None,
        to_ms: Moment = None,
    ) -> answers.Page[answers.Observation]:
        """List observations in order of arrival; unpaid ones and devices' own words too, each with its verdict."""
        sieve = reading.Sieve(
            device=_device_name(device),
            epoch=epoch,
            verdict=_verdict(verdict),
            kind=None if kind is None else ObservationKind[kind.upper()],
            class_id=_class_id(class_name),
            from_ms=from_ms,
            to_ms=to_ms,
        )
        with desk.store.database.reading() as connection:
            rows = reading.observations(connection, sieve, _window(limit, after))
        return page([(row.cursor, observation_answer(row)) for row in rows], limit)

    @api.get("/verdicts", tags=["observations"])
    def verdicts(
        *,
        limit: Limit = 100,
        after: After = None,
        device: DeviceName = None,
        epoch: EpochNumber = None,
        verdict: VerdictSlug = None,
    ) -> answers.Page[answers.VerdictLine]:
        """List the messages that arrived, in order of arrival, and what was made of them."""
        sieve = reading.Sieve(device=_device_name(device), epoch=epoch, verdict=_verdict(verdict))
        with desk.store.database.reading() as connection:
            rows = reading.verdicts(connection, sieve, _window(limit, after))
        return page([(row.cursor, verdict_answer(row)) for row in rows], limit)


def _add_epoch_routes(api: APIRouter, desk: Desk) -> None:
    @api.get("/epochs", tags=["epochs"])
    def epochs(limit: Limit = 100, after: After = None) -> answers.Page[answers.Epoch]:
        """List closed epochs, then the ones still open."""
        with desk.store.database.reading() as connection:
            closed = epoch_rows(connection, after=_window(limit, after).after, limit=limit)
        shown: list[tuple[int, answers.Epoch]] = [(row.epoch, _closed(row)) for row in closed]
        current = desk.facts.schedule.epoch_at(desk.clock())
        begun = max(shown[-1][0] if shown else 0, int(after or 0)) + 1
        shown += [(epoch, _open(epoch)) for epoch in range(begun, current + 1)[: limit - len(shown)]]
        return page(shown, limit)

    @api.get("/epochs/{number}", tags=["epochs"], responses={404: {"model": answers.Problem}})
    def epoch(number: int) -> answers.Epoch:
        """Show one epoch; once it is closed, with everything that was published about it."""
        if not 1 <= number <= desk.facts.schedule.epoch_at(desk.clock()):
            raise HTTPException(404, "there is no such epoch yet; epochs count from 1")
        with desk.store.database.reading() as connection:
            row = epoch_row(connection, number)
        return _open(number) if row is None else _closed(row)

    def _closed(row: EpochRow) -> answers.Epoch:
        return epoch_answer(row)

    def _open(number: int) -> answers.Epoch:
        schedule = desk.facts.schedule
        with desk.store.database.reading() as connection:
            counts = reading.message_counts(connection, number)
            envelopes, observations = reading.accepted_totals(connection, number)
        return answers.Epoch(
            epoch=number,
            started_at_ms=schedule.starts_at_ms(number),
            ended_at_ms=schedule.ends_at_ms(number),
            state="open" if desk.clock() < schedule.ends_at_ms(number) else "closing",
            manifest=None,
            verdicts=None,
            segments=[],
            epoch_car=None,
            counts=counts,
            envelopes=envelopes,
            observations=observations,
        )


def _window(limit: int, after: str | None) -> reading.Window:
    cursor = -1 if after is None else int(after)
    if cursor >= 1 << 63:
        raise HTTPException(422, "after: not a cursor of this list")
    return reading.Window(limit, cursor)


def _device_name(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return PublicKey.parse(text).name
    except MalformedError as error:
        raise HTTPException(422, "device: not a device's name; it looks like z6Mk... or did:key:z6Mk...") from error


def _verdict(slug: str | None) -> Verdict | None:
    if slug is None:
        return None
    for verdict in Verdict:
        if verdict.slug == slug:
            return verdict
    raise HTTPException(422, f"verdict: one of {', '.join(verdict.slug for verdict in Verdict)}")


def _class_id(name: str | None) -> int | None:
    if name is None:
        return None
    if name not in COCO_CLASSES:
        raise HTTPException(422, "class_name: not in the vocabulary; try person, bicycle or car")
    return COCO_CLASSES.index(name)
