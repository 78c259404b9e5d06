"""A message keeps what validation found.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("message", sa.Column("validation", sa.Text(), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    """Undo this revision."""
    op.drop_column("message", "validation")
