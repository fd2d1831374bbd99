"""The key id: a public key as its multicodec bytes. Apart from identity.py, for those who name keys and use none."""

from typing import Final

from protocol.errors import MalformedError

ED25519_PREFIX: Final = b"\xed\x01"  # multicodec ed25519-pub, as a varint
KEY_ID_BYTES: Final = 34


def check_key_id(key_id: bytes) -> None:
    """Return quietly if ``key_id`` is an Ed25519 key's.

    Raises:
        MalformedError: it is not.
    """
    if len(key_id) != KEY_ID_BYTES or not key_id.startswith(ED25519_PREFIX):
        raise MalformedError("not an Ed25519 multicodec key")
