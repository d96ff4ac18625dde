"""Run by Alembic: bring the tables of an open ledger to the newest version, on the connection it was opened with."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
