"""The first tables: devices, the entries of the log, what they observed, epochs.

Revision ID: first_tables
"""

import sqlalchemy as sa
from alembic import op

revision = "first_tables"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("batch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch"),
    )
    op.create_table(
        "beacons",
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("relayed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("round", "hash"),
    )
    op.create_table(
        "blocks",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("file", sa.String(length=40), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.Column("length_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "devices",
        sa.Column("device_id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("owner", sa.LargeBinary(length=20), nullable=False),
        sa.Column("owner_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("highest_sequence", sa.BigInteger(), nullable=False),
        sa.Column("envelopes", sa.BigInteger(), nullable=False),
        sa.Column("observations", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "epochs",
        sa.Column("epoch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(length=36), nullable=False),
        sa.Column("verdicts", sa.LargeBinary(length=36), nullable=False),
        sa.Column("car", sa.LargeBinary(length=64), nullable=False),
        sa.Column("piece", sa.LargeBinary(length=96), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("envelopes", sa.BigInteger(), nullable=False),
        sa.Column("observations", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("epoch"),
    )
    op.create_table(
        "observations",
        sa.Column("observation", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("class_id", sa.SmallInteger(), nullable=True),
        sa.Column("quantity", sa.SmallInteger(), nullable=True),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("confidence_ppm", sa.Integer(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("continues", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("observation"),
    )
    op.create_table(
        "entries",
        sa.Column("entry", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("judged", sa.SmallInteger(), nullable=True),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=True),
        sa.Column("device_id", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("observations", sa.SmallInteger(), nullable=True),
        sa.Column("observations_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("lat_udeg", sa.Integer(), nullable=True),
        sa.Column("lon_udeg", sa.Integer(), nullable=True),
        sa.Column("accuracy_mm", sa.Integer(), nullable=True),
        sa.Column("segment", sa.BigInteger(), nullable=True),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=True),
        sa.Column("length_bytes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"]),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_index(
        "entries_claim",
        "entries",
        ["observations_digest"],
        unique=False,
        sqlite_where=sa.text("observations_digest IS NOT NULL"),
        postgresql_where=sa.text("observations_digest IS NOT NULL"),
    )
    op.create_index(
        "entries_device_sequence",
        "entries",
        ["device_id", "sequence"],
        unique=False,
        sqlite_where=sa.text("device_id IS NOT NULL"),
        postgresql_where=sa.text("device_id IS NOT NULL"),
    )
    op.create_index("entries_epoch", "entries", ["epoch", "entry"], unique=False)
    op.create_index(
        "entries_kept_digest",
        "entries",
        ["digest"],
        unique=True,
        sqlite_where=sa.text("segment IS NOT NULL"),
        postgresql_where=sa.text("segment IS NOT NULL"),
    )
    op.create_index(
        "entries_refused",
        "entries",
        ["verdict", "entry"],
        unique=False,
        sqlite_where=sa.text("verdict <> 0"),
        postgresql_where=sa.text("verdict <> 0"),
    )
    op.create_table(
        "epoch_counts",
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.String(length=32), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch"], ["epochs.epoch"]),
        sa.PrimaryKeyConstraint("epoch", "slug"),
    )
    op.create_table(
        "segments",
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("car", sa.LargeBinary(length=64), nullable=False),
        sa.Column("piece", sa.LargeBinary(length=96), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch"], ["epochs.epoch"]),
        sa.PrimaryKeyConstraint("epoch", "place"),
    )
    op.create_table(
        "tallies",
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["batch"], ["batches.batch"]),
        sa.PrimaryKeyConstraint("batch", "verdict"),
    )


def downgrade() -> None:
    op.drop_table("tallies")
    op.drop_table("segments")
    op.drop_table("epoch_counts")
    op.drop_index(
        "entries_refused",
        table_name="entries",
        sqlite_where=sa.text("verdict <> 0"),
        postgresql_where=sa.text("verdict <> 0"),
    )
    op.drop_index(
        "entries_kept_digest",
        table_name="entries",
        sqlite_where=sa.text("segment IS NOT NULL"),
        postgresql_where=sa.text("segment IS NOT NULL"),
    )
    op.drop_index("entries_epoch", table_name="entries")
    op.drop_index(
        "entries_device_sequence",
        table_name="entries",
        sqlite_where=sa.text("device_id IS NOT NULL"),
        postgresql_where=sa.text("device_id IS NOT NULL"),
    )
    op.drop_index(
        "entries_claim",
        table_name="entries",
        sqlite_where=sa.text("observations_digest IS NOT NULL"),
        postgresql_where=sa.text("observations_digest IS NOT NULL"),
    )
    op.drop_table("entries")
    op.drop_table("observations")
    op.drop_table("epochs")
    op.drop_table("devices")
    op.drop_table("blocks")
    op.drop_table("beacons")
    op.drop_table("batches")
