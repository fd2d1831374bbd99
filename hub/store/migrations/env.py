"""What Alembic runs for every migration: on the connection it was given, in that connection's transaction."""

from alembic import context

from hub.store.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
