"""Puts a model keeper together from what the owner says: the one place where its parts meet."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge.models.choice import ModelSettings
from edge.models.errands import fetching, trying
from edge.models.keeper import ModelKeeper
from edge.models.offers import KeeperTerms
from edge.models.trust import Trust
from edge.models.versions import ModelVersions
from protocol.identity import PublicKey
from protocol.units import UnixMs


def trust_of(told: ModelSettings, device: PublicKey | None) -> Trust:
    """Return whom a device believes about models.

    Raises:
        ModelError: the publishers in ``told`` are not what they must be.
    """
    return Trust(told.publisher_keys(), told.signatures_required, device)


def keeper_of(
    told: ModelSettings,
    folder: Path,
    *,
    offers: tuple[str, PublicKey],
    device: PublicKey,
    now_ms: Callable[[], UnixMs],
    monotonic_s: Callable[[], float],
) -> ModelKeeper:
    """Return the keeper of the model store ``folder``, its errands real ones.

    Args:
        told: the table ``[model]``.
        folder: the store.
        offers: the network, and the hub whose offers count.
        device: this device's key: whose turn it is, and whose own models are.
        now_ms: the device's time.
        monotonic_s: for probation, pauses and timeouts.

    Raises:
        ModelError: the publishers in ``told`` are not what they must be.
    """
    network, hub = offers
    terms = KeeperTerms(
        network=network,
        hub=hub,
        device=device,
        trust=trust_of(told, device),
        asked=told.name,
        hub_url=told.hub_url,
        follows_hub=told.follow_hub,
        max_frame_ms=told.max_frame_ms,
        probation_s=told.probation_s,
    )
    return ModelKeeper(
        ModelVersions(folder),
        terms,
        fetch=partial(fetching, monotonic_s=monotonic_s),
        trial=partial(
            trying,
            monotonic_s=monotonic_s,
            threads=told.threads,
            runner=told.runner,
            is_fallback_allowed=told.runner_fallback,
        ),
        now_ms=now_ms,
        monotonic_s=monotonic_s,
    )
