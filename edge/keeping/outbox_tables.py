"""The outbox's file: its tables, how it is opened, what SQLite's errors mean to an owner. For edge/outbox*.py alone.

Made for SD cards. Small pages: a transaction changes few bytes in few pages, and whole pages are what is written. The
log (WAL) is long enough that pages which change all the time are written back to the file once in a thousand frames,
and short enough to cost a mebibyte. Nothing is overwritten with zeros: what is in here becomes public anyway. Pages
that fall free are used again; the file never shrinks.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.keeping.priority import Priority
from protocol.units import UnixMs

PAGE_BYTES: Final = 1_024  # measured: half the bytes per envelope that 2,048 takes
WAL_PAGES: Final = 1_024  # frames after which SQLite writes the log back into the file
_WAL_KEPT_BYTES: Final = 2 * WAL_PAGES * PAGE_BYTES  # a log that grew beyond this (a long reader) is cut again
_CACHE_KIB: Final = 256
_THREAD_IO: Final = Path("/proc/thread-self/io")
FORM: Final = 2  # PRAGMA user_version of a file of this form

# One table a class: rows are added at the end alone, which changes the fewest pages. STRICT: a column holds what it
# says. Rank: how often the envelope's number within its class can be halved; thinning takes the lowest rank first,
# which is every second envelope, then every fourth, and so on.
_ENVELOPES: Final = """
CREATE TABLE IF NOT EXISTS {table} (
  sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL, block BLOB NOT NULL, created_at_ms INTEGER NOT NULL,
  observations INTEGER NOT NULL, rank INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS {table}_rank ON {table} (rank);
"""
_REST: Final = """
CREATE TABLE IF NOT EXISTS hub (number INTEGER PRIMARY KEY, key_id BLOB NOT NULL UNIQUE, enrolled BLOB) STRICT;
CREATE TABLE IF NOT EXISTS answer (
  sequence INTEGER NOT NULL, hub INTEGER NOT NULL, PRIMARY KEY (sequence, hub)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusal (
  sequence INTEGER NOT NULL, hub INTEGER NOT NULL, verdict INTEGER NOT NULL,
  PRIMARY KEY (sequence, hub)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipt (
  number INTEGER PRIMARY KEY, heard_at_ms INTEGER NOT NULL, block BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS book (number INTEGER PRIMARY KEY CHECK (number = 1), content TEXT NOT NULL) STRICT;
"""


def _schema() -> str:
    return "".join(_ENVELOPES.format(table=table_of(priority)) for priority in Priority) + _REST


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file for writing; SQLite repairs what a power cut left.

    Raises:
        sqlite3.Error: it cannot be used.
    """
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=32)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a new file; an old one keeps its own
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA secure_delete=OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_to_look(path: Path) -> sqlite3.Connection:
    """Open the file for reading only; an agent may be using it.

    Raises:
        sqlite3.Error: there is none, or it cannot be read.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None, check_same_thread=False
    )


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a new file; take in a file of the first form.

    Raises:
        sqlite3.Error: they cannot be written.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] != FORM:
        connection.executescript(f"BEGIN IMMEDIATE; {_schema()} PRAGMA user_version={FORM}; COMMIT;")


def is_of_another_release(connection: sqlite3.Connection) -> bool:
    """Whether the tables are not those that this module knows."""
    if connection.execute("PRAGMA user_version").fetchone()[0] not in {0, FORM}:
        return True
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'fact'").fetchone() is not None


def table_of(priority: Priority) -> str:
    """Return the name of the table with the envelopes of a class."""
    return f"envelope_{priority.name.lower()}"


def rank_of(number: int) -> int:
    """Return how often ``number``, 1 or more, can be halved."""
    return (number & -number).bit_length() - 1


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave the transaction, if one is open."""
    # A failed COMMIT may have rolled back already; a disk that is full may refuse even this, and SQLite then
    # discards the transaction when the file is next used.
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def keep_receipt(connection: sqlite3.Connection, block: bytes, heard_at_ms: UnixMs, at_most: int) -> None:
    """Keep a receipt as evidence, and only the last ``at_most``."""
    cursor = connection.execute("INSERT INTO receipt (heard_at_ms, block) VALUES (?, ?)", (heard_at_ms, block))
    connection.execute("DELETE FROM receipt WHERE number <= ?", ((cursor.lastrowid or 0) - at_most,))


def written_bytes() -> int:
    """Return how many bytes this thread has ever written, to whatever; 0 where the kernel does not say."""
    try:
        lines = _THREAD_IO.read_bytes()
    except OSError:
        return 0
    return int(lines.partition(b"wchar: ")[2].split(b"\n", 1)[0] or 0)


def sentence(path: Path, error: sqlite3.Error | OSError) -> str:
    """Say what is wrong with the file in the owner's words."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    refuses_writes = primary in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, None}
    if primary == sqlite3.SQLITE_FULL or (refuses_writes and _is_full(path.parent)):
        return f"the disk of {path} is full: free some space; what was accepted is safe and sending goes on"
    if refuses_writes and _is_read_only(path.parent):
        return (
            f"the disk of {path} is mounted read-only, which Linux does to a disk that fails: check `dmesg`, mount it "
            f"writable or replace it; what was accepted is safe"
        )
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"{path} cannot be written: check that its directory exists, is yours and is not mounted read-only"
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"{path} is damaged: move it away and start again; the sequence file keeps numbers from being reused"
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"{path} is in use by another program: close it, then try again"
    return f"{path} cannot be used ({error}): check the disk"


def _is_full(folder: Path) -> bool:
    with suppress(OSError):
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize < PAGE_BYTES * 16  # less than opening and one transaction take
    return False


def _is_read_only(folder: Path) -> bool:
    with suppress(OSError):
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return False
