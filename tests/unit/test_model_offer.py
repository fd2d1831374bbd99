"""The bytes of models on their way: approvals, offers, files of signatures; and what a device believes of an offer."""

import msgspec
import pytest

from edge.models.errors import ModelError
from edge.models.offers import KeeperTerms, believed_offer, weighed
from edge.models.trust import Trust
from edge.sending.hearing import UnbelievableError
from protocol.errors import MalformedError, ProtocolError, SignatureError
from protocol.identity import KeyPair
from protocol.modelmanifest import parse_head, parse_signatures, write_signatures
from protocol.modeloffer import ModelOffer, approve, open_approval, open_offer, place_of, seal_offer
from protocol.payload import encode_payload
from protocol.units import UnixMs
from tests.support.edge_story import NETWORK
from tests.support.model_story import ANNA, BEN, BOTH, DEVICE, HUB, NOW_MS, STRANGER, manifest, offer, signed, without

TEXT = manifest()
TERMS = KeeperTerms(NETWORK, HUB.public_key, DEVICE.public_key, BOTH, asked="door", hub_url="http://10.0.0.7:8080/")


def believed(block: bytes, latest_ms: int = 0, network: str = NETWORK) -> ModelOffer:
    return believed_offer(block, hub=HUB.public_key, network=network, latest_ms=latest_ms)


def with_sources(*sources: str) -> ModelOffer:
    return msgspec.structs.replace(open_offer(offer(TEXT, ANNA, BEN))[1], sources=sources)


def test_an_offer_of_the_own_hub_is_believed_as_long_as_none_newer_was_heard() -> None:
    block = offer(TEXT, ANNA, BEN)
    assert believed(block, latest_ms=NOW_MS).manifest == TEXT
    with pytest.raises(UnbelievableError, match="issued before"):
        believed(block, latest_ms=NOW_MS + 1)


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        (offer(TEXT, ANNA, BEN, hub=STRANGER), "not by the hub"),
        (offer(TEXT, ANNA, BEN)[:-1] + b"\x00", "signature"),
        (approve(TEXT, HUB, signed_at_ms=NOW_MS), "not a ModelOffer"),
        (b"", "not a COSE"),
    ],
)
def test_anything_else_on_the_topic_proves_nothing(block: bytes, complaint: str) -> None:
    with pytest.raises(UnbelievableError, match=complaint):
        believed(block)


def test_an_offer_for_another_network_proves_nothing() -> None:
    with pytest.raises(UnbelievableError, match="network"):
        believed(offer(TEXT, ANNA, BEN), network="elsewhere")


@pytest.mark.parametrize(
    ("text", "publishers", "complaint"),
    [
        (TEXT, (), "signed by nobody"),
        (TEXT, (ANNA,), "1 of the publishers"),
        (TEXT, (DEVICE,), "not for a hub to offer"),
        (without(TEXT, "expires"), (ANNA, BEN), "never expires"),
        (without(TEXT, "image_sha256"), (ANNA, BEN), "does not pin"),
        (manifest(changes={"expires": "2027-01-01"}), (ANNA, BEN), "expired on 2027-01-01"),
    ],
)
def test_what_the_hub_says_of_a_model_is_not_enough(
    text: bytes, publishers: tuple[KeyPair, ...], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        weighed(believed(offer(text, *publishers)), TERMS, now_ms=NOW_MS)


def test_the_hub_s_paths_lead_to_the_hub_of_the_settings_and_cids_name_the_same_bytes() -> None:
    parcel = weighed(with_sources("/v1/models/{sha256}", "https://g.example/ipfs/{cid}"), TERMS, now_ms=NOW_MS).parcel
    head = parse_head(parcel.manifest)
    digest = head.sha256
    assert parcel.model_sources[0] == f"http://10.0.0.7:8080/v1/models/{digest}"
    assert parcel.model_sources[1].startswith("https://g.example/ipfs/bafkrei")
    assert parcel.model_sources[2] == head.source
    assert parcel.picture_sources[0].endswith(str(head.selftest.image_sha256))
    homeless = KeeperTerms(NETWORK, HUB.public_key, DEVICE.public_key, Trust(BOTH.publishers, 2), asked="door")
    sources = weighed(with_sources("/v1/models/{sha256}"), homeless, now_ms=NOW_MS).parcel.model_sources
    assert sources == (head.source,)  # without the hub's address its paths lead nowhere


@pytest.mark.parametrize(
    "source",
    [
        "http://g.example/{sha256}",
        "//g.example/{sha256}",
        "/v1/models/file",
        "/{sha256}/{cid}",
        "/a b/{sha256}",
        "/{sha256}\n",
        "",
        "https://g.example/" + "x" * 400 + "{sha256}",
    ],
)
def test_a_source_that_is_none_makes_the_offer_malformed(source: str) -> None:
    block = seal_offer(_unchecked(source), HUB)
    with pytest.raises(MalformedError):
        open_offer(block)


def _unchecked(source: str) -> ModelOffer:
    good = with_sources("/{sha256}")
    raw = msgspec.to_builtins(good, builtin_types=(bytes,))
    raw[5] = [source]

    class Loose(msgspec.Struct, array_like=True, tag=21):
        version: int
        network: str
        manifest: bytes
        approvals: tuple[bytes, ...]
        sources: tuple[str, ...]
        percent: int
        seed: bytes
        issued_at_ms: int

    loose = msgspec.convert(raw, Loose)
    assert encode_payload(loose) != encode_payload(good)
    return loose  # type: ignore[return-value]


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_percentage_is_one(percent: int) -> None:
    block = seal_offer(msgspec.structs.replace(with_sources("/{sha256}"), percent=percent), HUB)
    with pytest.raises(MalformedError):
        open_offer(block)


def test_a_raw_cid_is_that_of_the_bytes_themselves() -> None:
    # SHA-256 of nothing; the CID as any IPFS tool writes it.
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert place_of("/ipfs/{cid}", sha256=empty) == "/ipfs/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_signatures_read_back_as_they_were_written() -> None:
    blocks = signed(TEXT, ANNA, BEN)
    assert parse_signatures(write_signatures(blocks)) == blocks
    assert [open_approval(block)[0] for block in blocks] == [ANNA.public_key, BEN.public_key]
    with pytest.raises(SignatureError):
        open_approval(blocks[0][:-1] + bytes([blocks[0][-1] ^ 1]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"version":2,"approvals":[]}',
        b'{"version":1,"approvals":["0g"]}',
        b'{"version":1,"approvals":["abc"]}',
        b'{"version":1,"approvals":[],"more":1}',
        b'{"version":1,"approvals":["' + b"ab" * 9_000 + b'"]}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_file_of_signatures_is_malformed(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_signatures(text)


def test_an_offer_at_its_largest_still_fits_a_broker_s_message() -> None:
    text = manifest() + b"#" * 10_000
    assert len(offer(text, ANNA, BEN, issued_at_ms=UnixMs(NOW_MS))) < 60_000
