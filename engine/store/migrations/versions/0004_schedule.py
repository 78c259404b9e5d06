"""Appointments, replaced orders, numbers of procedures, and what a modality must know of the patient.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _INT, autoincrement=False, nullable=False)


def _int(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INT, nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False)


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("imaging_order", _text("clinical"))
    for name in ("placer_number", "filler_number", "comments"):
        op.add_column("requested_procedure", _text(name))
    op.create_table(
        "order_replacement",
        _id(),
        _int("old_id"),
        _int("new_id"),
        _int("at"),
        _int("cause_id"),
        sa.ForeignKeyConstraint(["new_id"], ["imaging_order.id"], name=op.f("fk_order_replacement_new_id")),
        sa.ForeignKeyConstraint(["old_id"], ["imaging_order.id"], name=op.f("fk_order_replacement_old_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_replacement")),
    )
    op.create_index("ix_order_replacement_new_id", "order_replacement", ["new_id"])
    op.create_index("ix_order_replacement_old_id", "order_replacement", ["old_id"])
    op.create_table(
        "appointment",
        _id(),
        _text("state"),
        _text("placer_number"),
        _text("placer_issuer"),
        _text("filler_number"),
        _text("filler_issuer"),
        _text("order_placer_number"),
        _text("order_filler_number"),
        _int("patient_id", nullable=True),
        _text("patient_number"),
        _int("order_id", nullable=True),
        _text("content"),
        _int("waits_until", nullable=True),
        _int("hold_id", nullable=True),
        _int("changed_at"),
        _int("cause_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
    )
    for name in (
        "filler_number",
        "order_filler_number",
        "order_placer_number",
        "patient_id",
        "patient_number",
        "placer_number",
    ):
        op.create_index(f"ix_appointment_{name}", "appointment", [name])


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("appointment")
    op.drop_table("order_replacement")
    for name in ("comments", "filler_number", "placer_number"):
        op.drop_column("requested_procedure", name)
    op.drop_column("imaging_order", "clinical")
