"""Reports: their versions, documents, numbers and links.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _INT, autoincrement=False, nullable=False)


def _int(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, _INT, server_default=None if default is None else sa.text(default), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False)


def _of(name: str, target: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [f"{target}.id"], name=op.f(f"fk_{table}_{name}"))


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "report",
        _id(),
        _text("state"),
        _int("version", default="1"),
        _text("title"),
        _text("code"),
        _text("code_system"),
        _text("issued"),
        _int("patient_id", nullable=True),
        _text("said_name"),
        _text("said_birth_date"),
        _text("said_sex"),
        _text("sender"),
        _int("parent_missing", default="0"),
        _int("newer_images_at", nullable=True),
        _int("received_at"),
        _int("changed_at"),
        _int("cause_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index("ix_report_patient_id", "report", ["patient_id"], unique=False)
    op.create_index("ix_report_state", "report", ["state", "id"], unique=False)
    op.create_table(
        "report_version",
        _id(),
        _int("report_id"),
        _int("number"),
        _text("state"),
        _text("text"),
        _text("content"),
        _int("is_late", default="0"),
        _text("issued"),
        _text("observed"),
        _text("interpreter"),
        _text("assistant"),
        _text("author"),
        _int("at"),
        _int("cause_id"),
        _of("report_id", "report", "report_version"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_version")),
    )
    op.create_index("uq_report_version_report_id_number", "report_version", ["report_id", "number"], unique=True)
    op.create_table(
        "report_attachment",
        _id(),
        _int("report_id"),
        _int("version_id"),
        _int("position"),
        _text("title"),
        _text("media_type"),
        _text("said_type"),
        _text("pointer"),
        _text("blob"),
        _int("size_bytes"),
        _of("report_id", "report", "report_attachment"),
        _of("version_id", "report_version", "report_attachment"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_attachment")),
    )
    op.create_index("ix_report_attachment_version_id", "report_attachment", ["version_id"], unique=False)
    op.create_index("ix_report_attachment_blob", "report_attachment", ["blob"], unique=False)
    op.create_table(
        "report_identifier",
        _id(),
        _int("report_id"),
        _text("kind"),
        _text("value"),
        _text("issuer"),
        _of("report_id", "report", "report_identifier"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_identifier")),
    )
    op.create_index("ix_report_identifier_value", "report_identifier", ["value", "kind"], unique=False)
    op.create_index("ix_report_identifier_report_id", "report_identifier", ["report_id"], unique=False)
    op.create_table(
        "report_link",
        _id(),
        _int("report_id"),
        _int("procedure_id", nullable=True),
        _int("study_id", nullable=True),
        _text("rule"),
        _text("reason"),
        _text("evidence"),
        _text("linked_by"),
        _int("at"),
        _int("undone_at", nullable=True),
        _int("cause_id"),
        _of("report_id", "report", "report_link"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_link")),
    )
    op.create_index("ix_report_link_report_id", "report_link", ["report_id"], unique=False)
    op.create_index("ix_report_link_procedure_id", "report_link", ["procedure_id"], unique=False)
    op.create_index("ix_report_link_study_id", "report_link", ["study_id"], unique=False)
    for name in ("hold", "event"):
        op.add_column(name, _int("report_id", nullable=True))
    op.create_index("ix_hold_report_id", "hold", ["report_id"], unique=False)
    op.create_index(
        "ix_event_report_id", "event", ["report_id"], unique=False, sqlite_where=sa.text("report_id IS NOT NULL")
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_index("ix_event_report_id", "event")
    op.drop_index("ix_hold_report_id", "hold")
    for name in ("event", "hold"):
        op.drop_column(name, "report_id")
    for name in ("report_link", "report_identifier", "report_attachment", "report_version", "report"):
        op.drop_table(name)
