"""Opening what lies in a hub's folder, the same way for `serve`, `replay`, `reindex` and `check`."""

import structlog

from hub.archive import Archive, ArchiveTerms
from hub.closing import EpochCloser
from hub.home import HomeError, HubHome
from hub.log.segments import LogTerms, SegmentLog
from hub.pinning.local import LocalPinStore
from hub.store.store import Store
from protocol.identity import KeyPair
from protocol.logbook import Policy
from protocol.units import UnixMs

log = structlog.get_logger(__name__)


def open_archive(home: HubHome, signer: KeyPair) -> Archive:
    """Return the archive in ``home``.

    Raises:
        HomeError: the hub was never set up there.
        PinningError: the pin store cannot be made.
    """
    genesis = home.genesis()
    terms = ArchiveTerms(genesis.network, signer.public_key, genesis.schedule)
    return Archive(home.segments, home.epochs, LocalPinStore(home.pins), terms)


def open_closer(home: HubHome, signer: KeyPair, store: Store) -> EpochCloser:
    """Return what closes the epochs of the hub in ``home``; raises like `open_archive`."""
    schedule = home.genesis().schedule
    archive = open_archive(home, signer)
    return EpochCloser(archive, store, segments=home.segments, hub=signer.public_key, schedule=schedule)


def open_log(home: HubHome, signer: KeyPair, policy: Policy, now_ms: UnixMs) -> SegmentLog:
    """Open the log for writing; say what had to be cut off.

    Raises:
        LogError: it is in use, damaged, or the disk refused.
        HomeError: the network has not begun.
    """
    genesis = home.genesis()
    epoch = genesis.schedule.epoch_at(now_ms)
    if epoch < 1:
        raise HomeError(f"the first epoch begins in {(genesis.genesis_ms - now_ms) // 1_000 + 1} s: start the hub then")
    terms = LogTerms(genesis.network, signer, policy)
    segment_log = SegmentLog.open(home.segments, terms, epoch=epoch, opened_at_ms=now_ms)
    if segment_log.repair is not None:
        log.warning("log_repaired", cut_bytes=segment_log.repair.cut_bytes, kept_bytes=segment_log.repair.kept_bytes)
    return segment_log
