"""The beacon: public randomness that nobody could have known before its time (a block hash of the settlement chain).

Hubs relay it as a retained message; devices put round and hash in every envelope; anyone checks it against the chain.
"""

import msgspec

from protocol.payload import Counter, Digest, Millis, Network, Version


class Beacon(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A round and its hash: a block number and the hash of that block."""

    round: Counter
    hash: Digest


NO_BEACON = Beacon(0, bytes(32))  # a device that has not heard any yet


class BeaconNotice(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=6):
    """What a hub relays and logs: a beacon, when its chain says it was made, and when the hub passed it on."""

    version: Version
    network: Network
    beacon: Beacon
    made_at_ms: Millis  # the block's own timestamp
    relayed_at_ms: Millis
    previous: Digest  # the hub record before this one in the hub's log
