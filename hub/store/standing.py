"""What the log holds about the messages of one batch: looked up in a handful of statements, not five a message."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, and_, select, tuple_

from hub.domain.admission import Opened
from hub.store import tables
from hub.store.writing import chunks
from protocol.beacon import Beacon
from protocol.identity import PublicKey
from protocol.units import UnixMs


class BatchStanding:
    """A `Standing` that knows about the messages it was prepared for, and about no others.

    It does not change: lay a `MemoryStanding` over it for what the batch itself adds.
    """

    def __init__(self, connection: Connection, opened: Sequence[Opened]) -> None:
        """Look up everything that `admit` may ask about ``opened``."""
        asked = [message for message in opened if message.refusal is None and message.key is not None]
        self._held = _held(connection, [message.digest for message in asked])
        self._device_ids = _device_ids(connection, {message.key for message in asked if message.key is not None})
        self._digests = _digests(connection, self._device_ids, asked)
        self._claimed = _claimed(connection, [message.claims for message in asked if message.claims is not None])
        beacons = {message.envelope.beacon for message in asked if message.envelope is not None}
        self._beacons = _beacons(connection, beacons)

    def is_enrolled(self, device: PublicKey) -> bool:
        """See `hub.domain.admission.Standing`."""
        return device in self._device_ids

    def digest_at(self, device: PublicKey, sequence: int) -> bytes | None:
        """See `hub.domain.admission.Standing`."""
        return self._digests.get((self._device_ids.get(device, -1), sequence))

    def holds(self, digest: bytes) -> bool:
        """See `hub.domain.admission.Standing`."""
        return digest in self._held

    def claimed(self, observations_digest: bytes) -> bool:
        """See `hub.domain.admission.Standing`."""
        return observations_digest in self._claimed

    def beacon_made_at_ms(self, beacon: Beacon) -> UnixMs | None:
        """See `hub.domain.admission.Standing`."""
        return self._beacons.get(beacon)


def _held(connection: Connection, digests: list[bytes]) -> set[bytes]:
    column = tables.entries.c.digest
    held: set[bytes] = set()
    for some in chunks(digests):
        kept = tables.entries.c.segment.is_not(None)
        held.update(connection.execute(select(column).where(column.in_(some), kept)).scalars())
    return held


def _device_ids(connection: Connection, keys: set[PublicKey]) -> dict[PublicKey, int]:
    names = {key.name: key for key in keys}
    columns = tables.devices.c
    ids: dict[PublicKey, int] = {}
    for some in chunks(list(names)):
        for row in connection.execute(select(columns.name, columns.device_id).where(columns.name.in_(some))):
            ids[names[row.name]] = row.device_id
    return ids


def _digests(
    connection: Connection, device_ids: dict[PublicKey, int], asked: list[Opened]
) -> dict[tuple[int, int], bytes]:
    """The first kept digest at each message's own sequence and at the one before."""
    wanted = {
        (device_ids[message.key], sequence)
        for message in asked
        if message.envelope is not None and message.key in device_ids
        for sequence in (message.sequence - 1, message.sequence)
        if sequence > 0
    }
    columns = tables.entries.c
    digests: dict[tuple[int, int], bytes] = {}
    for some in chunks(sorted(wanted)):
        query = (
            select(columns.device_id, columns.sequence, columns.digest)
            .where(columns.device_id.is_not(None), tuple_(columns.device_id, columns.sequence).in_(some))
            .order_by(columns.entry)
        )
        for row in connection.execute(query):
            digests.setdefault((row.device_id, row.sequence), row.digest)
    return digests


def _claimed(connection: Connection, claims: list[bytes]) -> set[bytes]:
    column = tables.entries.c.observations_digest
    claimed: set[bytes] = set()
    for some in chunks(claims):
        known = connection.execute(select(column).where(column.is_not(None), column.in_(some))).scalars()
        claimed.update(digest for digest in known if digest is not None)
    return claimed


def _beacons(connection: Connection, beacons: set[Beacon]) -> dict[Beacon, UnixMs]:
    columns = tables.beacons.c
    made: dict[Beacon, UnixMs] = {}
    for some in chunks(sorted({beacon.round for beacon in beacons})):
        for row in connection.execute(
            select(columns.round, columns.hash, columns.made_at_ms).where(columns.round.in_(some))
        ):
            made[Beacon(row.round, row.hash)] = UnixMs(row.made_at_ms)
    return made


class EarlierStanding:
    """A `Standing` of what the log held before an epoch began, about the messages of that epoch. For judging it.

    What is asked about other messages is answered as if nothing were known of them.
    """

    def __init__(self, connection: Connection, *, epoch: int, started_at_ms: UnixMs) -> None:
        """Look up everything at once; beacons one by one in ``connection``, which must stay open for that."""
        self._connection = connection
        self._started_at_ms = started_at_ms
        self._device_ids = _enrolled_before(connection, epoch)
        self._held = _known_before(connection, epoch, "digest")
        self._claimed = _known_before(connection, epoch, "observations_digest")
        self._digests = _digests_before(connection, epoch)

    def is_enrolled(self, device: PublicKey) -> bool:
        """See `hub.domain.admission.Standing`."""
        return device in self._device_ids

    def digest_at(self, device: PublicKey, sequence: int) -> bytes | None:
        """See `hub.domain.admission.Standing`."""
        return self._digests.get((self._device_ids.get(device, -1), sequence))

    def holds(self, digest: bytes) -> bool:
        """See `hub.domain.admission.Standing`."""
        return digest in self._held

    def claimed(self, observations_digest: bytes) -> bool:
        """See `hub.domain.admission.Standing`."""
        return observations_digest in self._claimed

    @lru_cache(maxsize=4_096)  # noqa: B019 # lives for one judging
    def beacon_made_at_ms(self, beacon: Beacon) -> UnixMs | None:
        """See `hub.domain.admission.Standing`."""
        columns = tables.beacons.c
        query = select(columns.made_at_ms).where(
            columns.round == beacon.round,
            columns.hash == beacon.hash,
            columns.relayed_at_ms < self._started_at_ms,
        )
        made_at_ms = self._connection.execute(query).scalar()
        return None if made_at_ms is None else UnixMs(made_at_ms)


_earlier = tables.entries.alias("earlier")
_now = tables.entries.alias("now")


def _enrolled_before(connection: Connection, epoch: int) -> dict[PublicKey, int]:
    speaking = select(_now.c.device_id).where(_now.c.epoch == epoch, _now.c.device_id.is_not(None))
    query = (
        select(tables.devices.c.name, tables.devices.c.device_id)
        .join(_earlier, _earlier.c.entry == tables.devices.c.device_id)
        .where(tables.devices.c.device_id.in_(speaking), _earlier.c.epoch < epoch)
    )
    return {PublicKey.parse(row.name): row.device_id for row in connection.execute(query)}


def _known_before(connection: Connection, epoch: int, column: str) -> set[bytes]:
    """The values in ``column`` of the epoch's entries that a kept block of an earlier epoch has too."""
    asked = select(_now.c[column]).where(_now.c.epoch == epoch, _now.c[column].is_not(None))
    query = select(_earlier.c[column]).where(
        _earlier.c[column].is_not(None),
        _earlier.c[column].in_(asked),
        _earlier.c.segment.is_not(None),
        _earlier.c.epoch < epoch,
    )
    return set(connection.execute(query).scalars())


def _digests_before(connection: Connection, epoch: int) -> dict[tuple[int, int], bytes]:
    """The first kept digest at each sequence of the epoch's envelopes and at the one before it."""
    of_device = _earlier.c.device_id == _now.c.device_id
    near = _earlier.c.sequence.in_((_now.c.sequence, _now.c.sequence - 1))
    query = (
        select(_earlier.c.device_id, _earlier.c.sequence, _earlier.c.digest)
        .select_from(_now.join(_earlier, and_(of_device, near)))
        .where(_now.c.epoch == epoch, _now.c.kind == tables.ENVELOPE)
        .where(_earlier.c.kind == tables.ENVELOPE, _earlier.c.epoch < epoch)
        .order_by(_earlier.c.entry)
    )
    digests: dict[tuple[int, int], bytes] = {}
    for row in connection.execute(query):
        digests.setdefault((row.device_id, row.sequence), row.digest)
    return digests
