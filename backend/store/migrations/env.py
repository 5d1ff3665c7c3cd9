"""Alembic's entry: runs the revisions of one kind of database on the connection that `store/migrate.py` gives."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
