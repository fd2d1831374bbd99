"""The one place that opens databases, begins transactions and commits them.

Any failure of the database leaves here as `StoreError`, whichever database it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from hub.store.tables import metadata

_READING: Final = "cairn_reading"
_LOCK_WAIT_S: Final = 30
_CONNECT_WAIT_S: Final = 10
_KINDS: Final = "use sqlite:///PATH or postgresql+pg8000://USER@HOST/NAME"


class StoreError(Exception):
    """The database could not be reached, refused a statement, or is not what the log says."""


class Database:
    """A migrated database. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect to ``url`` (``sqlite:///...`` or ``postgresql+pg8000://...``) and bring its tables up to date.

        Raises:
            StoreError: unknown kind of database, unreachable, or a migration failed.
        """
        try:
            engine = _engine(url)
            with engine.begin() as connection:
                config = Config()
                config.set_main_option("script_location", "hub.store:migrations")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except (ImportError, ValueError) as error:  # a driver that is not here, or a port that is no number
            raise StoreError(f"cannot use this --database ({error}): {_KINDS}") from error
        except (SQLAlchemyError, CommandError, OSError) as error:
            raise StoreError(f"cannot open the database: {_first_line(error)}") from error
        return cls(engine)

    @property
    def is_postgresql(self) -> bool:
        """Which of the two it is."""
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that writes: committed at the end, rolled back on any exception.

        Raises:
            StoreError: the database refused.
        """
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view that writes nothing.

        Raises:
            StoreError: the database refused.
        """
        readers = self._engine.execution_options(**{_READING: True})
        with _translated(), readers.begin() as connection:
            yield connection

    def drift(self) -> list[object]:
        """Return the differences between the tables as declared and as migrated: none, or the migrations lie."""
        with self.reading() as connection:
            return list(compare_metadata(MigrationContext.configure(connection), metadata))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    kind = make_url(url).get_backend_name()
    if kind == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _LOCK_WAIT_S, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if kind == "postgresql":
        engine = create_engine(url, pool_pre_ping=True, connect_args={"timeout": _CONNECT_WAIT_S})
        event.listen(engine, "connect", _let_statements_take_their_time)
        # pg8000 sends one round trip a row otherwise.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        return engine
    raise StoreError(f"no support for {kind} databases; {_KINDS}")


def _prepare_sqlite(connection: object, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined] # we say BEGIN ourselves, see below
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # NORMAL may lose the last transactions in a power cut, never the file; the log has them, to be indexed again.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-32000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _let_statements_take_their_time(connection: object, _entry: ConnectionPoolEntry) -> None:
    # pg8000 has one limit for connecting and for every answer after it; emptying an index may take longer.
    connection._usock.settimeout(None)  # type: ignore[attr-defined] # noqa: SLF001 # no public way


def _begin_sqlite(connection: Connection) -> None:
    # A write lock taken at once waits its turn; one taken half-way through fails when another has written since.
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    if cause.args and isinstance(cause.args[0], dict):  # pg8000 passes on what the server sent, field by field
        return str(cause.args[0].get("M", cause))[:300]
    return (str(cause).splitlines() or [type(cause).__name__])[0][:300]
