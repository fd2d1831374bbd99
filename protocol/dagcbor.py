"""Strict DAG-CBOR (ipld.io/specs/codecs/dag-cbor): one value, one encoding.

Allowed: integers of 64 bits, bytes, text, lists, maps with text keys, booleans, null and links. Floats are valid
DAG-CBOR but never appear in anything Cairn signs or publishes, so they are refused here as well.

Strictness is enforced by encoding again: bytes are accepted only if they are exactly what `encode` would have written.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

import cbor2

from protocol.cid import Cid
from protocol.errors import MalformedError

_LINK_TAG: Final = 42
_MAX_DEPTH: Final = 32

# Every tag but a link that the CBOR library would act upon. Among them are shared references (25, 28, 29, 256), with
# which a hundred bytes could claim a billion members: encoding again would be too late, so none is followed.
_FOREIGN_TAGS: Final = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43_000, 55_799)

Value = int | bytes | str | bool | None | Cid | list["Value"] | dict[str, "Value"]


def encode(value: object) -> bytes:
    """Return the one encoding of ``value`` (lists or tuples, string-keyed maps, ints, bytes, text, bool, None, Cid).

    Raises:
        MalformedError: the value holds something that DAG-CBOR or Cairn does not allow.
    """
    try:
        return cbor2.dumps(_to_cbor(value, 0), canonical=True)
    except UnicodeEncodeError as error:
        raise MalformedError("text that is not Unicode: a lone surrogate") from error


def decode(raw: bytes) -> Value:
    """Return the value that ``raw`` encodes, with links as `Cid`.

    Raises:
        MalformedError: not DAG-CBOR, not the canonical form, or bytes left over.
    """
    try:
        value = _from_cbor(cbor2.loads(raw, semantic_decoders=REFUSED_TAGS), 0)
    except MalformedError:
        raise
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"not CBOR: {error}") from error
    if encode(value) != raw:
        raise MalformedError("not the canonical DAG-CBOR form")
    return value


def _refuse(*_: object) -> NoReturn:
    raise MalformedError("a CBOR tag other than a link")


REFUSED_TAGS: Final = dict.fromkeys(_FOREIGN_TAGS, _refuse)


def _to_cbor(value: object, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"nested deeper than {_MAX_DEPTH}")
    if value is None or isinstance(value, bool | bytes | str):
        return value
    if isinstance(value, int):
        if not -(1 << 64) <= value < 1 << 64:
            raise MalformedError(f"integer of {value.bit_length()} bits, 64 are allowed")
        return int(value)
    if isinstance(value, Cid):
        return cbor2.CBORTag(_LINK_TAG, b"\x00" + value.raw)
    if isinstance(value, list | tuple):
        return [_to_cbor(member, depth + 1) for member in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise MalformedError("map keys must be text")
        return {key: _to_cbor(member, depth + 1) for key, member in value.items()}
    raise MalformedError(f"{type(value).__name__} has no place in DAG-CBOR here")


def _from_cbor(value: object, depth: int) -> Value:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"nested deeper than {_MAX_DEPTH}")
    if value is None or isinstance(value, bool | bytes | str | int):
        return value
    if isinstance(value, cbor2.CBORTag):
        if value.tag != _LINK_TAG or not isinstance(value.value, bytes) or value.value[:1] != b"\x00":
            raise MalformedError(f"CBOR tag {value.tag} is not a link")
        return Cid(value.value[1:])
    if isinstance(value, list | tuple):
        return [_from_cbor(member, depth + 1) for member in value]
    if isinstance(value, Mapping):
        out: dict[str, Value] = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise MalformedError("map keys must be text")
            out[key] = _from_cbor(member, depth + 1)
        return out
    raise MalformedError(f"{type(value).__name__} has no place in DAG-CBOR here")
