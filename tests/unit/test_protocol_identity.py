"""Keys: published test vectors, and signatures that only a lax verifier takes."""

import pytest

from protocol.errors import MalformedError, SignatureError
from protocol.identity import KeyPair, PublicKey

# RFC 8032 section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
ORDER = (1 << 252) + 27742317777372353535851937790883648493


def test_the_published_key_signs_as_published() -> None:
    pair = KeyPair(SEED)
    assert pair.public_key == PublicKey.of_raw(PUBLIC)
    assert pair.sign(b"\x72") == SIGNATURE
    pair.public_key.verify(b"\x72", SIGNATURE)


def test_the_published_did_is_the_name_of_its_key() -> None:
    # From the did:key specification's Ed25519 examples.
    did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
    raw = bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
    assert PublicKey.of_raw(raw).did == did
    assert PublicKey.parse(did).raw == raw
    assert KeyPair(bytes(32)).public_key.did == did


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SIGNATURE[:-1],
        SIGNATURE + b"\x00",
        bytes(64),
        SIGNATURE[:32] + (int.from_bytes(SIGNATURE[32:], "little") + ORDER).to_bytes(32, "little"),
    ],
    ids=["empty", "63 bytes", "65 bytes", "zeros", "malleated"],
)
def test_a_signature_that_is_not_the_one_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        PublicKey.of_raw(PUBLIC).verify(b"\x72", signature)


@pytest.mark.parametrize("raw", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xff" * 32])
def test_a_key_of_small_order_or_off_the_curve_signs_nothing(raw: bytes) -> None:
    with pytest.raises(SignatureError):
        PublicKey.of_raw(raw).verify(b"anything", b"\x01" + bytes(63))


def test_a_key_of_another_kind_or_length_is_malformed() -> None:
    for key_id in (b"", PUBLIC, b"\xec\x01" + PUBLIC, b"\xed\x01" + PUBLIC + b"\x00"):
        with pytest.raises(MalformedError):
            PublicKey(key_id)


def test_the_seed_never_shows() -> None:
    assert SEED.hex() not in repr(KeyPair(SEED))
    assert repr(KeyPair(SEED)) == f"KeyPair({PublicKey.of_raw(PUBLIC).name})"
