"""A picture that never changes: the sensor or the stream is stuck, though frames still arrive.

Any real sensor has noise, so bytes that stay exactly equal for many seconds come from a buffer, not from a lens.
"""

import zlib

from edge.camera.frame import BgrPicture
from protocol.units import UnixMs

_EVERY_PX = 8  # compare every eighth pixel each way: 20 us for a megapixel, and noise is everywhere


class FrozenPicture:
    """Watches the pictures of one source."""

    def __init__(self, *, after_ms: int) -> None:
        """A picture is frozen once it has stayed the same for longer than ``after_ms``."""
        self._after_ms = after_ms
        self._fingerprint: int | None = None
        self._since_ms = UnixMs(0)

    def has_changed(self, picture: BgrPicture, at_ms: UnixMs) -> bool:
        """Take in a picture; say whether it differs from the one before (the first one does)."""
        fingerprint = zlib.crc32(picture[::_EVERY_PX, ::_EVERY_PX].tobytes())
        if fingerprint == self._fingerprint:
            return False
        self._fingerprint = fingerprint
        self._since_ms = at_ms
        return True

    def is_frozen(self, at_ms: UnixMs) -> bool:
        """Say whether the last picture has been the same for too long."""
        return self._fingerprint is not None and at_ms - self._since_ms > self._after_ms

    def wait_anew(self, at_ms: UnixMs) -> None:
        """Count the time from ``at_ms``: the source has been opened again."""
        self._since_ms = at_ms
