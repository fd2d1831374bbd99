"""What can be wrong with bytes: two roots by cause, both expected in normal operation."""


class ProtocolError(ValueError):
    """The root of everything this package raises about bytes it was given."""


class MalformedError(ProtocolError):
    """The bytes are not what the format says: wrong shape, type, order, length or range."""


class SignatureError(ProtocolError):
    """The bytes are well formed, but the signature does not fit the key they name."""
