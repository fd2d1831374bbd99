"""Unsigned varints (multiformats/unsigned-varint): seven bits a byte, low bits first, minimal, at most nine bytes."""

from protocol.errors import MalformedError

_MAX_BYTES = 9


def encode_varint(value: int) -> bytes:
    """Return the minimal encoding of ``value`` (0 <= value < 2**63)."""
    if not 0 <= value < 1 << 63:
        raise MalformedError(f"varint out of range: {value}")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(buffer: bytes | memoryview, offset: int = 0) -> tuple[int, int]:
    """Return ``(value, offset after it)``.

    Raises:
        MalformedError: cut off, longer than nine bytes, or not minimal.
    """
    value = 0
    for index in range(_MAX_BYTES):
        if offset + index >= len(buffer):
            raise MalformedError("varint is cut off")
        byte = buffer[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise MalformedError("varint is not minimal")
            return value, offset + index + 1
    raise MalformedError("varint is longer than nine bytes")
