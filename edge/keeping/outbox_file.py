"""The outbox's file in use: one thing at a time, transactions that keep the books, and what was written counted.

For edge/outbox*.py alone.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from edge.errors import EdgeError
from edge.keeping.book import Book, Writes
from edge.keeping.outbox_rows import Change, read_book, write_book
from edge.keeping.outbox_tables import (
    connect,
    connect_to_look,
    is_of_another_release,
    make_tables,
    roll_back,
    sentence,
    written_bytes,
)
from edge.owning.identity import sync_directory


class OutboxError(EdgeError):
    """The outbox cannot be read or written at present; the message says what to do. Nothing accepted is lost."""


class OutboxFile:
    """An open file. May be used from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use `open` or `look_into`."""
        self._path = path
        self.connection = connection
        self._lock = threading.Lock()
        self.book = read_book(connection)
        self.book_before = self.book  # as it was when the file was opened
        self._writes = self.book.writes
        self._is_flushing = True
        (self._version,) = connection.execute("PRAGMA data_version").fetchone()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the file for writing; SQLite repairs what a power cut left.

        Raises:
            OutboxError: damaged, not writable, or of another release.
        """
        return cls._opened(path, is_to_write=True)

    @classmethod
    def look_into(cls, path: Path) -> Self:
        """Open the file for reading; an agent may be using it.

        Raises:
            OutboxError: there is none, or it cannot be read.
        """
        return cls._opened(path, is_to_write=False)

    @classmethod
    def _opened(cls, path: Path, *, is_to_write: bool) -> Self:
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(path) if is_to_write else connect_to_look(path)
            if is_of_another_release(connection):
                raise OutboxError(  # noqa: TRY301 - one place closes the connection
                    f"{path} is of another release of the agent: install that one and let it deliver, or move it away"
                )
            if is_to_write:
                make_tables(connection)
                sync_directory(path.parent)  # SQLite does not do it for a new database in WAL mode
            return cls(path, connection)
        except (sqlite3.Error, OSError, OutboxError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OutboxError):
                raise
            raise OutboxError(sentence(path, error)) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.connection.close()

    @property
    def writes(self) -> Writes:
        """How much was written since the file was opened."""
        return self._writes.since(self.book_before.writes)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return what a question to the tables gives.

        Raises:
            OutboxError: the file cannot be read.
        """
        try:
            with self._lock:
                return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(sentence(self._path, error)) from error

    @contextmanager
    def change(self, *, is_flushed: bool = True) -> Iterator[Change]:
        """All or nothing, the books included; durable at the end of the block if flushed.

        What is not flushed survives a kill, and a power cut may undo it as long as nothing flushed has followed.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self._lock:
            connection = self.connection
            changes, before_bytes = connection.total_changes, written_bytes()
            change = Change(connection, self.book)
            try:
                if is_flushed != self._is_flushing:
                    connection.execute(f"PRAGMA synchronous={'FULL' if is_flushed else 'NORMAL'}")
                    self._is_flushing = is_flushed
                connection.execute("BEGIN IMMEDIATE")
                change.book = self._present_book()
                yield change
                if has_changed := connection.total_changes != changes or change.book is not self.book:
                    change.book = _with_write(change.book, self._writes, is_flushed=is_flushed)
                    write_book(connection, change.book)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                roll_back(connection)
                raise OutboxError(sentence(self._path, error)) from error
            except BaseException:
                roll_back(connection)
                raise
            self.book = change.book
            if has_changed:
                # The bytes are known afterwards only: the next transaction books them.
                writes, more_bytes = change.book.writes, written_bytes() - before_bytes
                self._writes = msgspec.structs.replace(writes, written_bytes=writes.written_bytes + more_bytes)

    def _present_book(self) -> Book:
        """The books, read again if somebody else has written: `cairn-edge rotate-key` may follow an agent at once."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self.book = read_book(self.connection)
            self._writes = self.book.writes
        return self.book


def _with_write(book: Book, before: Writes, *, is_flushed: bool) -> Book:
    writes = Writes(before.transactions + 1, before.flushed + int(is_flushed), before.written_bytes)
    return msgspec.structs.replace(book, writes=writes)
