"""Visits grow a state and times, registration its own clock, and merges remember what they moved.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text(f"'{default}'"), nullable=False)


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("patient", _text("identity_reliability"))
    op.add_column("patient", sa.Column("registered_at", _INT, nullable=True))
    op.create_index(
        "ix_patient_merged_into", "patient", ["merged_into"], sqlite_where=sa.text("merged_into IS NOT NULL")
    )
    op.add_column("visit", _text("state", "ACTIVE"))
    op.add_column("visit", _text("admitted"))
    op.add_column("visit", _text("discharged"))
    op.add_column("visit", sa.Column("merged_into", _INT, nullable=True))
    op.add_column("visit", sa.Column("registered_at", _INT, nullable=True))
    op.create_table(
        "patient_merge",
        sa.Column("id", _INT, autoincrement=False, nullable=False),
        _text("kind"),
        sa.Column("survivor_id", _INT, nullable=False),
        sa.Column("subsumed_id", _INT, nullable=False),
        _text("moved"),
        sa.Column("at", _INT, nullable=False),
        sa.Column("undone_at", _INT, nullable=True),
        sa.Column("cause_id", _INT, nullable=False),
        sa.ForeignKeyConstraint(["subsumed_id"], ["patient.id"], name=op.f("fk_patient_merge_subsumed_id")),
        sa.ForeignKeyConstraint(["survivor_id"], ["patient.id"], name=op.f("fk_patient_merge_survivor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_merge")),
    )
    op.create_index("ix_patient_merge_subsumed_id", "patient_merge", ["subsumed_id"])
    op.create_index("ix_patient_merge_survivor_id", "patient_merge", ["survivor_id"])


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("patient_merge")
    for name in ("registered_at", "merged_into", "discharged", "admitted", "state"):
        op.drop_column("visit", name)
    op.drop_index("ix_patient_merged_into", "patient")
    op.drop_column("patient", "registered_at")
    op.drop_column("patient", "identity_reliability")
