"""What devices say of themselves: health, gaps, successors; lines, zones and flags of what they observe.

Revision ID: own_words
"""

import sqlalchemy as sa
from alembic import op

revision = "own_words"
down_revision = "first_tables"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("observations", sa.Column("flags", sa.SmallInteger(), nullable=True))
    op.add_column("observations", sa.Column("is_forward", sa.SmallInteger(), nullable=True))
    op.add_column("observations", sa.Column("record", sa.LargeBinary(length=256), nullable=True))
    op.create_table(
        "conditions",
        sa.Column("device_id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("health", sa.BigInteger(), nullable=True),
        sa.Column("health_sequence", sa.BigInteger(), nullable=True),
        sa.Column("gaps", sa.BigInteger(), nullable=False),
        sa.Column("lost_envelopes", sa.BigInteger(), nullable=False),
        sa.Column("lost_observations", sa.BigInteger(), nullable=False),
        sa.Column("successor", sa.String(length=60), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"]),
        sa.PrimaryKeyConstraint("device_id"),
    )


def downgrade() -> None:
    op.drop_table("conditions")
    op.drop_column("observations", "record")
    op.drop_column("observations", "is_forward")
    op.drop_column("observations", "flags")
