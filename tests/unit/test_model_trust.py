"""Whose word a model is: every way in which a manifest from elsewhere is not to be believed, each with one sentence."""

import pytest

from edge.models.errors import ModelError
from edge.models.rollout import Ref, RolloutState, added
from edge.models.trust import Origin, Trust, check_fresh, head_of, origin_of
from edge.models.versions import SHIPPED_FOLDER
from protocol.identity import KeyPair
from protocol.modelmanifest import ManifestHead, parse_head
from protocol.units import UnixMs
from tests.support.model_story import ANNA, BEN, BOTH, DEVICE, NOW_MS, STRANGER, manifest, signed, without

TEXT = manifest()
ONE = Trust(frozenset({ANNA.public_key}), 1)


def head(text: bytes = TEXT) -> ManifestHead:
    return parse_head(text)


def test_what_ships_with_the_package_needs_no_signature_but_every_byte_of_it() -> None:
    shipped = (SHIPPED_FOLDER / "yolox-nano.toml").read_bytes()
    assert origin_of(shipped, (), Trust()) is Origin.SHIPPED
    with pytest.raises(ModelError, match="signed by nobody"):
        origin_of(shipped + b"\n", (), Trust())


def test_the_owner_s_own_model_is_signed_by_the_device_itself() -> None:
    assert origin_of(TEXT, signed(TEXT, DEVICE), BOTH) is Origin.OWN
    with pytest.raises(ModelError, match="0 of the publishers"):
        origin_of(TEXT, signed(TEXT, DEVICE), Trust(BOTH.publishers, 2, STRANGER.public_key))


@pytest.mark.parametrize(
    ("publishers", "trust"),
    [((ANNA, BEN), BOTH), ((BEN, ANNA, STRANGER), BOTH), ((ANNA,), ONE), ((STRANGER, ANNA), ONE)],
)
def test_enough_publishers_are_enough(publishers: tuple[KeyPair, ...], trust: Trust) -> None:
    assert origin_of(TEXT, signed(TEXT, *publishers), trust) is Origin.PUBLISHED


@pytest.mark.parametrize(
    ("publishers", "trust", "complaint"),
    [
        ((), BOTH, "signed by nobody"),
        ((ANNA,), BOTH, "signed by 1 of the publishers you trust, 2 must"),
        ((ANNA, ANNA), BOTH, "signed by 1 of the publishers"),  # one hand signs twice
        ((ANNA, STRANGER), BOTH, "signed by 1 of the publishers"),
        ((STRANGER,), ONE, "signed by 0 of the publishers"),
        ((ANNA, BEN), Trust(), "signed by 0 of the publishers"),  # an owner who trusts nobody
    ],
)
def test_too_few_or_the_wrong_publishers_are_refused(
    publishers: tuple[KeyPair, ...], trust: Trust, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        origin_of(TEXT, signed(TEXT, *publishers), trust)
    assert "\n" not in str(caught.value)


def test_a_single_altered_byte_of_a_signed_manifest_is_refused() -> None:
    approvals = signed(TEXT, ANNA, BEN)
    for altered in (TEXT.replace(b'version = "1"', b'version = "2"'), TEXT + b"\n", TEXT.replace(b"# W", b"# w")):
        assert altered != TEXT
        with pytest.raises(ModelError, match="changed after it was signed"):
            origin_of(altered, approvals, BOTH)


def test_a_broken_signature_is_refused_even_beside_good_ones() -> None:
    good = signed(TEXT, ANNA, BEN)
    for broken in (good[0][:-1] + bytes([good[0][-1] ^ 1]), b"", b"\x00" * 200):
        with pytest.raises(ModelError, match="broken"):
            origin_of(TEXT, (*good, broken), BOTH)


def test_a_threshold_of_no_signature_is_no_threshold() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Trust(required=0)


def test_a_manifest_is_good_until_the_day_on_which_it_expires() -> None:
    midnight_ms = head().expires_at_ms
    assert midnight_ms == 1_830_297_600_000  # 2028-01-01T00:00:00Z
    check_fresh(head(), Origin.PUBLISHED, now_ms=UnixMs(midnight_ms - 1))
    for origin in Origin:
        with pytest.raises(ModelError, match="expired on 2028-01-01"):
            check_fresh(head(), origin, now_ms=midnight_ms)


def test_a_model_from_elsewhere_must_expire_and_pin_its_picture() -> None:
    check_fresh(head(without(TEXT, "expires")), Origin.OWN, now_ms=NOW_MS)
    for key, complaint in (("expires", "never expires"), ("image_sha256", "does not pin its self-test picture")):
        with pytest.raises(ModelError, match=complaint):
            check_fresh(head(without(TEXT, key)), Origin.PUBLISHED, now_ms=NOW_MS)


def test_an_index_below_the_floor_is_refused_unless_it_is_the_owner_s_own() -> None:
    state = RolloutState(floors={"door": 3})
    for index in (3, 4):
        assert added(state, Ref("door", "a" * 64, index)).current is not None
    with pytest.raises(ModelError, match="rollback index 2, and a version with 3 has proven itself"):
        added(state, Ref("door", "a" * 64, 2))
    assert added(state, Ref("gate", "a" * 64, 0)).current is not None  # each name has its own
    assert added(state, Ref("door", "a" * 64, 0, is_own=True)).current is not None


@pytest.mark.parametrize(
    "text", [b"\xff", b"name =", b"", b"#" * 40_000, manifest(name="../evil"), without(TEXT, "sha256"), b"[" * 5_000]
)
def test_what_is_no_manifest_is_one_sentence(text: bytes) -> None:
    with pytest.raises(ModelError, match="model manifest gift is not valid") as caught:
        head_of(text, origin="gift")
    assert "\n" not in str(caught.value)
