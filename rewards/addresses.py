"""Addresses as people type them."""

from eth_utils.address import is_address, is_checksum_address


class AddressError(ValueError):
    """Not an address; the message says what is wrong with it."""


def parse_address(text: str) -> bytes:
    """Return the 20 bytes of ``0x`` and 40 hex digits; a wrong checksum is a typing error and is refused.

    Raises:
        AddressError: it is no address.
    """
    digits = text.removeprefix("0x")
    if not text.startswith("0x") or not is_address(text):
        raise AddressError("0x and 40 hex digits are expected")
    if digits not in {digits.lower(), digits.upper()} and not is_checksum_address(text):
        raise AddressError("its checksum is wrong, so it was mistyped; copy it again")
    return bytes.fromhex(digits)
