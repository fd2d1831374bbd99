"""The outbox's tables, the statements on them, and what SQLite's errors mean to an owner. For edge/outbox.py alone."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.units import UnixMs
from protocol.verdict import Verdict

# STRICT: a column holds what it says. Facts are few and small: the end of the chain, the enrollment.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS envelope (
  sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, block BLOB NOT NULL, created_at_ms INTEGER NOT NULL,
  refused INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS receipt (
  number INTEGER PRIMARY KEY AUTOINCREMENT, heard_at_ms INTEGER NOT NULL, block BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tally (verdict INTEGER PRIMARY KEY, envelopes INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, number INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
"""


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave the transaction, if one is open."""
    # A failed COMMIT may have rolled back already; a disk that is full may refuse even this, and SQLite then
    # discards the transaction when the file is next used.
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def set_fact(connection: sqlite3.Connection, name: str, number: int, content: bytes) -> None:
    """Remember one fact, in place of what was remembered under its name."""
    connection.execute("INSERT OR REPLACE INTO fact (name, number, content) VALUES (?, ?, ?)", (name, number, content))


def count(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Count one more envelope with ``verdict``."""
    connection.execute(
        "INSERT INTO tally (verdict, envelopes) VALUES (?, 1) "
        "ON CONFLICT (verdict) DO UPDATE SET envelopes = envelopes + 1",
        (int(verdict),),
    )


def keep_receipt(connection: sqlite3.Connection, block: bytes, heard_at_ms: UnixMs, at_most: int) -> None:
    """Keep a receipt as evidence, and only the last ``at_most``."""
    cursor = connection.execute("INSERT INTO receipt (heard_at_ms, block) VALUES (?, ?)", (heard_at_ms, block))
    connection.execute("DELETE FROM receipt WHERE number <= ?", ((cursor.lastrowid or 0) - at_most,))


def sentence(path: Path, error: sqlite3.Error | OSError) -> str:
    """Say what is wrong with the file in the owner's words."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return f"the disk of {path} is full: free some space; what was accepted is safe and sending goes on"
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"{path} cannot be written: check that its directory exists, is yours and is not mounted read-only"
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"{path} is damaged: move it away and start again; the sequence file keeps numbers from being reused"
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"{path} is in use by another program: close it, then try again"
    return f"{path} cannot be used ({error}): check the disk"
