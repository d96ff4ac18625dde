"""Polled portals, batches of orders, backends that push, rates, and days that were reconciled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and give the old ones their new columns."""
    op.add_column("events", sa.Column("raw_code", sa.Text()))
    op.add_column("events", sa.Column("revokes_code", sa.Text()))
    op.add_column("nonces", sa.Column("digest", sa.LargeBinary()))
    op.add_column("cursors", sa.Column("poll_no", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("cursors", sa.Column("next_poll_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "batches",
        sa.Column("portal", sa.Text(), nullable=False),
        sa.Column("batch_no", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("portal", "batch_no"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "strays",
        sa.Column("stray_no", _Number, autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("waybill_no", sa.Text()),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stray_no"),
        sa.UniqueConstraint("source", "event_id"),
    )
    op.create_index("strays_by_waybill", "strays", ["source", "waybill_no"], unique=False)
    op.create_table(
        "pieces",
        sa.Column("waybill_no", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("waybill_no"),
    )
    op.create_table(
        "refusals",
        sa.Column("refusal_id", sa.Text(), nullable=False),
        sa.Column("portal", sa.Text(), nullable=False),
        sa.Column("portal_ref", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("field", sa.Text()),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger()),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("refusal_id"),
        sa.UniqueConstraint("portal", "portal_ref"),
    )
    op.create_table(
        "rates",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("destination"),
    )
    op.create_table(
        "reconciliations",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("differences", sa.Integer()),
        sa.Column("healed", sa.Integer()),
        sa.PrimaryKeyConstraint("system", "day"),
        sqlite_with_rowid=False,
    )
