"""The shapes of the API's answers: what `/openapi.json` promises."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

MAX_LIMIT = 1_000


class Answer(BaseModel):
    """The common rules: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Answer, Generic[T]):
    """Part of a list."""

    rows: list[T]
    after: Annotated[str | None, Field(description="Pass as `after` to get what follows; null: this is the end.")]


class Problem(Answer):
    """RFC 9457: what went wrong, in one sentence that says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Position(Answer):
    """A place in micro-degrees, as coarse as the device's owner chose."""

    lat_udeg: int
    lon_udeg: int
    accuracy_mm: int | None


class Device(Answer):
    """An enrolled device."""

    name: str
    did: str
    owner: Annotated[str, Field(description="The contributor's account, 0x and 40 hex digits.")]
    enrolled_at_ms: int
    last_seen_ms: int
    highest_sequence: int
    envelopes: int
    observations: Annotated[int, Field(description="Inside envelopes accepted at the door.")]


class DeviceDetail(Device):
    """A device with its verdicts and its last position."""

    verdicts: dict[str, int]
    position: Position | None


class Track(Answer):
    """One object that a camera followed."""

    kind: Literal["track"] = "track"
    class_id: int
    class_name: str
    first_seen_ms: int
    last_seen_ms: int
    confidence_ppm: int
    continues: bool


class Reading(Answer):
    """One number from a sensor."""

    kind: Literal["reading"] = "reading"
    quantity: Annotated[str, Field(description="The name carries the unit.")]
    measured_at_ms: int
    value: int


class Observation(Answer):
    """What a device claims it saw or measured, and whether it counts."""

    device: str
    epoch: int
    envelope: Annotated[str, Field(description="CID of the signed envelope: GET /ipfs/{cid}.")]
    verdict: str
    position: Position
    observed: Annotated[Track | Reading, Field(discriminator="kind")]


class VerdictLine(Answer):
    """One message that arrived, and what was made of it."""

    digest: str
    cid: Annotated[str | None, Field(description="Where the bytes were kept: GET /ipfs/{cid}.")]
    verdict: str
    at_the_door: Annotated[str, Field(description="The verdict before the epoch was judged as a whole.")]
    received_at_ms: int
    epoch: int
    device: str | None
    sequence: int
    observations: int


class Pinned(Answer):
    """A published CAR file: GET /piece/{piece}."""

    car: str
    piece: str
    size_bytes: int


class Epoch(Answer):
    """An epoch and, once it is closed, everything that was published about it."""

    epoch: int
    started_at_ms: int
    ended_at_ms: int
    state: Literal["open", "closing", "closed"]
    manifest: str | None
    verdicts: str | None
    segments: list[Pinned]
    epoch_car: Pinned | None
    counts: dict[str, int]
    envelopes: int
    observations: int


class Limits(Answer):
    """The admission limits in force."""

    max_clock_skew_ms: int
    beacon_window_ms: int
    max_lateness_ms: int


class Broker(Answer):
    """Where devices publish."""

    host: str
    port: int


class Network(Answer):
    """What a device or a contributor must know to take part."""

    network: str
    hub: Annotated[str, Field(description="did:key of this hub: the signer of receipts.")]
    hub_name: str
    genesis_ms: int
    epoch_ms: int
    epoch: int
    broker: Broker
    policy: Limits


class Health(Answer):
    """How the hub is doing. Counters begin anew with the process."""

    status: Literal["ok", "degraded", "failing"]
    reasons: list[str]
    version: str
    now_ms: int
    oldest_unacknowledged_ms: int
    queue_depth: int
    received: int
    accepted: int
    dropped: int
    rejected_by_reason: dict[str, int]
    fsync_ms_p50: float
    fsync_ms_p99: float
    index_failures: int
    broker_connected: bool
    last_beacon_age_ms: int | None
    disk_free_bytes: int
