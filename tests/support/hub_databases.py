"""Real databases for the hub's tests: a file for SQLite, a private server for PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pg8000.native
import pytest

from hub.broker.address import free_port


@contextmanager
def postgres_server() -> Iterator[int]:
    """Run a PostgreSQL server of our own on a free loopback port; yield the port."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="cairn-postgres-"))
    as_owner = _as_owner(folder)
    port = free_port("127.0.0.1")
    cluster = folder / "cluster"
    try:
        _run(as_owner, binaries / "initdb", "-D", cluster, "-U", "cairn", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {folder} -F -c max_connections=40"
        _run(
            as_owner, binaries / "pg_ctl", "-D", cluster, "-o", options, "-l", folder / "log", "-w", "-t", "60", "start"
        )
        yield port
    finally:
        _run(as_owner, binaries / "pg_ctl", "-D", cluster, "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(port: int, name: str) -> str:
    """Make an empty database; return its URL."""
    connection = pg8000.native.Connection("cairn", host="127.0.0.1", port=port, database="postgres")
    connection.run(f"CREATE DATABASE {name}")
    connection.close()
    return f"postgresql+pg8000://cairn@127.0.0.1:{port}/{name}"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        pytest.fail("PostgreSQL is not installed: run tests/system-packages.sh, or apt-get install postgresql")
    return Path(on_path).parent


def _as_owner(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root, so root lends it the user that its package made."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _run(as_owner: list[str], program: Path, *arguments: object, check: bool = True) -> None:
    outcome = subprocess.run(
        [*as_owner, str(program), *(str(one) for one in arguments)],
        cwd="/",
        stdout=subprocess.DEVNULL,  # a server inherits what it is given, so a pipe would never end
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if check and outcome.returncode != 0:
        pytest.fail(f"{program.name} ended with status {outcome.returncode}; is PostgreSQL installed whole?")
