"""Alembic's entry: runs the revisions of this folder on the database it is given."""

from __future__ import annotations

from alembic import context

from engine.store.database import open_engine
from engine.store.table import metadata

url = context.config.get_main_option("sqlalchemy.url") or ""
engine = open_engine(url)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
