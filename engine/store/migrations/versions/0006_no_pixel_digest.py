"""Pixels are compared when an instance comes twice; no digest of them is kept.

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.drop_column("instance", "pixel_digest")


def downgrade() -> None:
    """Undo this revision; what was not kept is empty."""
    op.add_column("instance", sa.Column("pixel_digest", sa.Text(), server_default=sa.text("''"), nullable=False))
