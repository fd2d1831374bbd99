"""The tables of the index, for SQLite and PostgreSQL alike.

An *entry* is one line of an intake record: one message that arrived. Its number says where it stands in the log
(``batch << 12 | place in the batch``), so the same log always gives the same rows and pages are read in log order.
"""

from enum import IntEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

ENTRY_BITS: Final = 12  # protocol.logbook.MAX_ENTRIES is 2**12
OBSERVATION_BITS: Final = 8  # protocol.envelope.MAX_OBSERVATIONS is 2**8
ENVELOPE: Final = 1
ENROLLMENT: Final = 2

# In SQLite only a column declared INTEGER becomes the row id itself.
_Number = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


class ObservationKind(IntEnum):
    """What an observation is, by its tag on the wire."""

    TRACK = 1
    READING = 2
    CROSSING = 3
    STAY = 4
    GAP = 5
    HEALTH = 6
    SUCCESSION = 7


devices = Table(
    "devices",
    metadata,
    Column("device_id", _Number, primary_key=True, autoincrement=False),  # the entry of its first enrollment
    Column("name", String(60), nullable=False, unique=True),
    Column("owner", LargeBinary(20), nullable=False),
    Column("owner_since_ms", BigInteger, nullable=False),  # by the device's own clock: the latest statement holds
    Column("enrolled_at_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("highest_sequence", BigInteger, nullable=False),
    Column("envelopes", BigInteger, nullable=False),
    Column("observations", BigInteger, nullable=False),  # that may be paid, inside accepted envelopes
)

# What devices say of themselves; no row before the first word. What a clone or a replay says is left out.
conditions = Table(
    "conditions",
    metadata,
    Column("device_id", _Number, ForeignKey("devices.device_id"), primary_key=True, autoincrement=False),
    Column("health", BigInteger),  # the observation with the health record of the highest sequence
    Column("health_sequence", BigInteger),
    Column("gaps", BigInteger, nullable=False),
    Column("lost_envelopes", BigInteger, nullable=False),  # the sum over all gaps, as the next
    Column("lost_observations", BigInteger, nullable=False),
    Column("successor", String(60)),  # the first key that the device named and that agreed
)

entries = Table(
    "entries",
    metadata,
    Column("entry", _Number, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("verdict", SmallInteger, nullable=False),
    Column("judged", SmallInteger),  # where the epoch's judgement differs from the verdict at the door
    Column("received_at_ms", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    # What follows is known only of blocks that were kept.
    Column("kind", SmallInteger),
    Column("device_id", BigInteger, ForeignKey("devices.device_id")),
    Column("sequence", BigInteger),
    Column("created_at_ms", BigInteger),
    Column("observations", SmallInteger),  # that may be paid
    Column("observations_digest", LargeBinary(32)),
    Column("lat_udeg", Integer),
    Column("lon_udeg", Integer),
    Column("accuracy_mm", Integer),
    Column("segment", BigInteger),
    Column("offset_bytes", BigInteger),
    Column("length_bytes", Integer),
)
_KEPT = text("segment IS NOT NULL")
Index("entries_kept_digest", entries.c.digest, unique=True, sqlite_where=_KEPT, postgresql_where=_KEPT)
_CLAIMS = text("observations_digest IS NOT NULL")
Index("entries_claim", entries.c.observations_digest, sqlite_where=_CLAIMS, postgresql_where=_CLAIMS)
_OF_DEVICE = text("device_id IS NOT NULL")
Index(
    "entries_device_sequence",
    entries.c.device_id,
    entries.c.sequence,
    sqlite_where=_OF_DEVICE,
    postgresql_where=_OF_DEVICE,
)
Index("entries_epoch", entries.c.epoch, entries.c.entry)
_REFUSED = text("verdict <> 0")
Index("entries_refused", entries.c.verdict, entries.c.entry, sqlite_where=_REFUSED, postgresql_where=_REFUSED)

observations = Table(
    "observations",
    metadata,
    Column("observation", _Number, primary_key=True, autoincrement=False),  # entry << 8 | place in the envelope
    Column("kind", SmallInteger, nullable=False),  # of ObservationKind
    Column("class_id", SmallInteger),  # tracks, crossings, stays
    Column("quantity", SmallInteger),  # readings
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("confidence_ppm", Integer),
    Column("value", BigInteger),  # of a reading; number of the line or zone; whether the successor agreed
    Column("continues", SmallInteger),  # tracks
    Column("flags", SmallInteger),  # readings that have any
    Column("is_forward", SmallInteger),  # crossings
    Column("record", LargeBinary(256)),  # gaps, health records and successions, as the device wrote them
)

batches = Table(
    "batches",
    metadata,
    Column("batch", _Number, primary_key=True, autoincrement=False),
    Column("segment", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("entries", SmallInteger, nullable=False),
)

tallies = Table(
    "tallies",
    metadata,
    Column("batch", BigInteger, ForeignKey("batches.batch"), primary_key=True),
    Column("verdict", SmallInteger, primary_key=True),
    Column("messages", BigInteger, nullable=False),
)

beacons = Table(
    "beacons",
    metadata,
    Column("round", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), primary_key=True),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("relayed_at_ms", BigInteger, nullable=False),
)

epochs = Table(
    "epochs",
    metadata,
    Column("epoch", _Number, primary_key=True, autoincrement=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False),
    Column("manifest", LargeBinary(36), nullable=False),
    Column("verdicts", LargeBinary(36), nullable=False),
    Column("car", LargeBinary(64), nullable=False),
    Column("piece", LargeBinary(96), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("envelopes", BigInteger, nullable=False),
    Column("observations", BigInteger, nullable=False),
)

epoch_counts = Table(
    "epoch_counts",
    metadata,
    Column("epoch", BigInteger, ForeignKey("epochs.epoch"), primary_key=True),
    Column("slug", String(32), primary_key=True),
    Column("messages", BigInteger, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("epoch", BigInteger, ForeignKey("epochs.epoch"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # in log order
    Column("car", LargeBinary(64), nullable=False),
    Column("piece", LargeBinary(96), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    # Published blocks that no device made: hub records, verdict pages, manifests.
    Column("digest", LargeBinary(32), primary_key=True),
    Column("file", String(40), nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("length_bytes", Integer, nullable=False),
)
