"""What a device believes of a hub's offer of a model: the hub about when, the publishers about what. Pure.

A broker is nobody's friend: what arrives on the topic of offers is checked as if an attacker had sent it.
"""

from dataclasses import dataclass

from edge.models.errands import Parcel
from edge.models.errors import ModelError
from edge.models.rollout import Ref
from edge.models.trust import Origin, Trust, check_fresh, head_of, origin_of
from edge.models.versions import ref_of
from edge.sending.hearing import UnbelievableError
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.modeloffer import ModelOffer, is_included, open_offer, place_of
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class KeeperTerms:
    """What a device goes by."""

    network: str
    hub: PublicKey  # whose offers count
    device: PublicKey
    trust: Trust
    asked: str  # [model] name in the settings: a name, or a path that ends in .onnx
    hub_url: str = ""  # http(s)://HOST:PORT where the hub's own paths lead; empty: those sources are passed over
    follows_hub: bool = True
    max_frame_ms: int = 2_000  # a model that needs longer for a frame is not for this device
    probation_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer whose manifest is believed."""

    ref: Ref
    parcel: Parcel
    is_included: bool  # whether it is this device's turn


def believed_offer(block: bytes, *, hub: PublicKey, network: str, latest_ms: int) -> ModelOffer:
    """Return the offer if ``hub`` signed it for this network and not before ``latest_ms``, the latest one's time.

    Raises:
        UnbelievableError: it did not, or somebody plays an old offer again.
    """
    try:
        key, offer = open_offer(block)
    except ProtocolError as error:
        raise UnbelievableError(f"model offer: {error}") from error
    if key != hub:
        raise UnbelievableError(f"model offer signed by {key}, not by the hub {hub}")
    if offer.network != network:
        raise UnbelievableError(f"model offer of the network {offer.network!r}, not {network!r}")
    if offer.issued_at_ms < latest_ms:
        raise UnbelievableError("model offer issued before the one already held")
    return offer


def weighed(offer: ModelOffer, terms: KeeperTerms, *, now_ms: UnixMs) -> Offered:
    """Return what ``offer``, believed to be the hub's, means for this device at ``now_ms``.

    Raises:
        ModelError: the manifest is not to be believed, has expired, or cannot be fetched.
    """
    head = head_of(offer.manifest, origin="in the hub's offer")
    origin = origin_of(offer.manifest, offer.approvals, terms.trust)
    check_fresh(head, origin, now_ms=now_ms)
    picture = head.selftest.image_sha256
    if origin is Origin.OWN or picture is None:
        raise ModelError(f"{head.name} {head.version} is not for a hub to offer: no publisher stands for it.")
    parcel = Parcel(
        manifest=offer.manifest,
        approvals=offer.approvals,
        model_sources=(*_places(offer, head.sha256, terms.hub_url), head.source, *head.mirrors),
        picture_sources=_places(offer, picture, terms.hub_url),
        plain_http=terms.hub_url,
    )
    mine = is_included(terms.device, seed=offer.seed, percent=offer.percent)
    return Offered(ref_of(offer.manifest, head), parcel, mine)


def _places(offer: ModelOffer, sha256: str, hub_url: str) -> tuple[str, ...]:
    hub = hub_url.rstrip("/")
    placed = (place_of(source, sha256=sha256) for source in offer.sources)
    return tuple(hub + place if place.startswith("/") else place for place in placed if hub or place[0] != "/")
