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
    observations: Annotated[int, Field(description="Tracks and readings inside envelopes accepted at the door.")]


class DeviceHealth(Answer):
    """How a device says it is. Counters run since its agent started; null where the machine cannot tell."""

    kind: Literal["health"] = "health"
    measured_at_ms: int
    uptime_s: int
    captured_mfps: Annotated[int, Field(description="Thousandths of a frame a second.")]
    analysed_mfps: int
    skipped_frames: int
    inference_p50_us: int
    inference_p95_us: int
    inferred_ppm: Annotated[int, Field(description="Share of the analysed frames that the model saw.")]
    provider: Annotated[str, Field(description="What ran the model: cpu, xnnpack, cuda...")]
    camera_restarts: int
    vision_restarts: int
    sensor_failures: int
    outbox_envelopes: int
    outbox_bytes: int
    outbox_oldest_s: int
    dropped_envelopes: int
    dropped_observations: int
    disk_writes_per_h: int
    disk_free_mib: int
    disk_wear_ppm: Annotated[int | None, Field(description="Of the life that the disk's maker promises.")]
    soc_mdegc: int | None
    throttled_bits: Annotated[int | None, Field(description="As the Raspberry Pi's firmware counts them.")]
    clock_source: Annotated[str, Field(description="What the clock follows: ntp, gnss, free, unknown.")]
    clock_offset_ms: Annotated[int | None, Field(description="Device minus hub, at the last beacon.")]
    clock_steps: int
    gnss_fix: Annotated[int | None, Field(description="2 or 3 dimensions; less: no fix.")]
    gnss_satellites: int | None
    gnss_hdop_milli: int | None
    rss_kib: int
    debug_pictures: Annotated[int, Field(description="Blurred pictures that the owner asked for.")]


class Lost(Answer):
    """What a device says it had to give up, all its gaps together."""

    gaps: int
    envelopes: int
    observations: int


class DeviceDetail(Device):
    """A device with its verdicts, its last position and its own words; those earn nothing and are not checked."""

    verdicts: dict[str, int]
    position: Position | None
    health: Annotated[DeviceHealth | None, Field(description="The latest; null: it never said.")]
    lost: Lost
    successor: Annotated[str | None, Field(description="did:key of the key it goes on under, which agreed.")]


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
    flags: Annotated[list[str], Field(description="What the device itself finds odd: stuck.")]


class Crossing(Answer):
    """A track passed a line."""

    kind: Literal["crossing"] = "crossing"
    class_id: int
    class_name: str
    line: int
    is_forward: Annotated[bool, Field(description="From the line's left to its right, seen from its first point.")]
    crossed_at_ms: int
    confidence_ppm: int


class Stay(Answer):
    """A track was in a zone."""

    kind: Literal["stay"] = "stay"
    class_id: int
    class_name: str
    zone: int
    entered_at_ms: int
    left_at_ms: int
    confidence_ppm: int


class Gap(Answer):
    """What a device had to give up."""

    kind: Literal["gap"] = "gap"
    reason: Annotated[str, Field(description="age, bytes, memory, abandoned.")]
    envelopes: int
    observations: int
    first_sequence: Annotated[int, Field(description="0: no envelopes were lost.")]
    last_sequence: int
    from_ms: int
    until_ms: int


class Succession(Answer):
    """A device goes on under another key."""

    kind: Literal["succession"] = "succession"
    successor: Annotated[str, Field(description="did:key of the other key.")]
    is_agreed: Annotated[bool, Field(description="Whether the other key has signed that it agrees.")]
    declared_at_ms: int


ObservationName = Literal["track", "reading", "crossing", "stay", "gap", "health", "succession"]
Observed = Track | Reading | Crossing | Stay | Gap | DeviceHealth | Succession


class Observation(Answer):
    """What a device claims it saw or measured, or says of itself, and whether it counts. Tracks and readings pay."""

    device: str
    epoch: int
    envelope: Annotated[str, Field(description="CID of the signed envelope: GET /ipfs/{cid}.")]
    verdict: str
    position: Position
    observed: Annotated[Observed, Field(discriminator="kind")]


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
    observations: Annotated[int, Field(description="Tracks and readings inside.")]


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
