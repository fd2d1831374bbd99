"""A `Standing` in memory: what was learned from a log, optionally on top of another one."""

from hub.domain.admission import Opened, Standing
from protocol.beacon import Beacon, BeaconNotice
from protocol.identity import PublicKey
from protocol.units import UnixMs
from protocol.verdict import Verdict


class MemoryStanding:
    """What a log holds, in memory.

    With a ``base`` it holds only what came after it: the intake lays one over its database for the length of a batch,
    and judging lays one over what was known before the epoch. Memory grows with what is learned.
    """

    def __init__(self, base: Standing | None = None) -> None:
        self._base = base
        self._enrolled: set[PublicKey] = set()
        self._digests: dict[tuple[PublicKey, int], bytes] = {}
        self._held: set[bytes] = set()
        self._claimed: set[bytes] = set()
        self._beacons: dict[Beacon, UnixMs] = {}

    def learn(self, opened: Opened, verdict: Verdict) -> None:
        """Take note of a message and its admission verdict; what is not kept leaves no trace."""
        if not verdict.is_kept or opened.key is None:
            return
        self._held.add(opened.digest)
        if opened.envelope is None:
            if verdict is Verdict.ACCEPTED:
                self._enrolled.add(opened.key)
            return
        if self.digest_at(opened.key, opened.sequence) is None:
            self._digests[opened.key, opened.sequence] = opened.digest
        if opened.claims is not None:
            self._claimed.add(opened.claims)

    def learn_beacon(self, notice: BeaconNotice) -> None:
        """Take note of a relayed beacon; the first notice of a beacon holds."""
        if self.beacon_made_at_ms(notice.beacon) is None:
            self._beacons[notice.beacon] = notice.made_at_ms

    def is_enrolled(self, device: PublicKey) -> bool:
        """See `Standing`."""
        return device in self._enrolled or (self._base is not None and self._base.is_enrolled(device))

    def digest_at(self, device: PublicKey, sequence: int) -> bytes | None:
        """See `Standing`."""
        # What the base holds came first, and `learn` never shadows it: so either answer is the only one.
        own = self._digests.get((device, sequence))
        return self._base.digest_at(device, sequence) if own is None and self._base is not None else own

    def holds(self, digest: bytes) -> bool:
        """See `Standing`."""
        return digest in self._held or (self._base is not None and self._base.holds(digest))

    def claimed(self, observations_digest: bytes) -> bool:
        """See `Standing`."""
        known = observations_digest in self._claimed
        return known or (self._base is not None and self._base.claimed(observations_digest))

    def beacon_made_at_ms(self, beacon: Beacon) -> UnixMs | None:
        """See `Standing`."""
        own = self._beacons.get(beacon)
        return self._base.beacon_made_at_ms(beacon) if own is None and self._base is not None else own
