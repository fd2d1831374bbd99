"""What waits in the outbox, as a file that somebody carries to where there is a network.

Either a CAR, whose root is the device's enrollment and whose other blocks are its envelopes, or lines of JSON, each a
block in base64 and the MQTT topic to publish it under. The blocks are the very bytes that the device signed.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.errors import EdgeError
from edge.keeping.outbox import Waiting
from protocol.car import car_header, car_section
from protocol.cid import Cid
from protocol.identity import PublicKey
from protocol.topics import enrollment_topic, envelope_topic


class ExportError(EdgeError):
    """The file cannot be written; the message says what to do."""


def write_car(path: Path, enrollment: bytes, envelopes: Iterable[Waiting]) -> int:
    """Write a CAR; return how many envelopes it holds.

    Raises:
        ExportError: it cannot be written.
        OutboxError: the outbox cannot be read.
    """
    count = 0
    with _draft_of(path) as file:
        root = Cid.of(enrollment)
        file.write(car_header(root) + car_section(root, enrollment))
        for envelope in envelopes:
            file.write(car_section(Cid.of_digest(envelope.digest), envelope.block))
            count += 1
    return count


def write_lines(path: Path, enrollment: bytes, envelopes: Iterable[Waiting], *, network: str, device: PublicKey) -> int:
    """Write JSON lines, the enrollment first; return how many envelopes there were.

    Raises:
        ExportError: it cannot be written.
        OutboxError: the outbox cannot be read.
    """
    count = 0
    with _draft_of(path) as file:
        file.write(_line(enrollment_topic(network, device), enrollment, sequence=0))
        for envelope in envelopes:
            file.write(_line(envelope_topic(network, device), envelope.block, sequence=envelope.sequence))
            count += 1
    return count


def _line(topic: str, block: bytes, *, sequence: int) -> bytes:
    words = {"topic": topic, "sequence": sequence, "block": base64.b64encode(block).decode()}
    return json.dumps(words).encode() + b"\n"


@contextmanager
def _draft_of(path: Path) -> Iterator[BinaryIO]:
    """The whole file or none."""
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}; choose another place") from error
