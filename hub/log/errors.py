"""What can go wrong with the log: one family."""


class LogError(Exception):
    """The log could not be written, read or opened. The sentence says what to do; nothing acknowledged is lost."""


class CorruptSegmentError(LogError):
    """The bytes of a segment are not what its hub wrote: damaged, cut, reordered or forged."""
