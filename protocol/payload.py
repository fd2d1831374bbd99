"""Signed payloads: closed, positional records of integers, bytes and short text, in canonical CBOR.

Every payload is an array whose first member says what it is (its *kind*) and whose second is the format version, so a
signature over one kind can never be passed off as another. Positions, not names, keep an envelope half the size.

There is one encoding: bytes are accepted only if encoding the decoded record again gives the same bytes, which rules
out non-minimal integers, text where bytes belong, indefinite lengths and anything left over.
"""

from typing import Annotated, Final, Literal, TypeVar

import cbor2
import msgspec

from protocol.dagcbor import REFUSED_TAGS
from protocol.errors import MalformedError
from protocol.units import Ppm, Udeg, UnixMs

VERSION: Final = 1
Version = Literal[1]

Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]  # SHA-256
KeyId = Annotated[bytes, msgspec.Meta(min_length=34, max_length=34)]  # multicodec key, see identity
Address = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]  # an EVM account
# \Z, not $: the latter would let a line feed follow.
Network = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,30}\Z")]
Release = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,30}\Z")]
Counter = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Millis = Annotated[UnixMs, msgspec.Meta(ge=0, le=2**53 - 1)]
ConfidencePpm = Annotated[Ppm, msgspec.Meta(ge=0, le=1_000_000)]
LatitudeUdeg = Annotated[Udeg, msgspec.Meta(ge=-90_000_000, le=90_000_000)]
LongitudeUdeg = Annotated[Udeg, msgspec.Meta(ge=-180_000_000, le=180_000_000)]

T = TypeVar("T", bound=msgspec.Struct)


def encode_payload(record: msgspec.Struct) -> bytes:
    """Return the canonical CBOR array of ``record``.

    A record that has gained a field since devices began to sign it leaves the field out where it says nothing new, so
    the old bytes stay the one encoding: its method ``shorten`` takes the field off.
    """
    fields = msgspec.to_builtins(record, builtin_types=(bytes,))
    shorten = getattr(record, "shorten", None)
    if shorten is not None:
        shorten(fields)
    return cbor2.dumps(fields)


def decode_payload(raw: bytes, kind: type[T]) -> T:
    """Return the record of type ``kind`` that ``raw`` encodes.

    Raises:
        MalformedError: not CBOR, another kind, a field missing, out of range or too many, or not the one encoding.
    """
    try:
        # No payload has a tag; the library would act on some, and compile any pattern that a stranger sends (tag 35).
        record = msgspec.convert(cbor2.loads(raw, semantic_decoders=REFUSED_TAGS), kind)
    except (
        cbor2.CBORDecodeError,
        msgspec.ValidationError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise MalformedError(f"not a {kind.__name__}: {error}") from error
    if encode_payload(record) != raw:
        raise MalformedError(f"not the canonical encoding of a {kind.__name__}")
    return record
