"""One suite for every signer of a device: a key file, and a key in a real PKCS#11 token."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pkcs11
import pytest

from edge.owning.anchors import KeyPlace
from edge.owning.identity import IdentityError, create_key_file
from edge.owning.keys import create_signer, has_key, make_next_key, open_signer
from edge.owning.token_key import KeyToken, TokenError
from protocol.cose import open_sign1, sign1
from protocol.identity import Signer
from tests.support.edge_tokens import LABEL, PIN, SoftToken, soft_token

ENVIRONMENT = {"CAIRN_PIN": PIN}


class Bench:
    """One place for a key, and the ways to lose it."""

    def __init__(self, folder: Path, token: SoftToken | None) -> None:
        self.folder = folder
        self.token = token
        self.place = KeyPlace() if token is None else token.place()

    def create(self) -> Signer:
        return create_signer(self.place, self.folder, ENVIRONMENT)

    def open(self) -> Signer:
        return open_signer(self.place, self.folder, ENVIRONMENT)

    def has_key(self) -> bool:
        return has_key(self.place, self.folder, ENVIRONMENT)


@pytest.fixture(params=["file", "token"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "device").mkdir()
    if request.param == "file":
        yield Bench(tmp_path / "device", None)
    else:
        with soft_token(tmp_path / "hsm") as token:
            yield Bench(tmp_path / "device", token)


def test_what_it_signs_fits_its_public_key(bench: Bench) -> None:
    signer = bench.create()
    for message in (b"", b"m", bytes(range(256)) * 128):
        signer.public_key.verify(message, signer.sign(message))
    assert open_sign1(sign1(b"\x80", signer)).key == signer.public_key


def test_it_is_the_same_key_whenever_it_is_opened(bench: Bench) -> None:
    assert not bench.has_key()
    made = bench.create()
    assert bench.has_key()
    again = bench.open()
    assert again.public_key == made.public_key == bench.open().public_key
    assert again.sign(b"m") == made.sign(b"m")  # Ed25519 knows no chance


def test_two_keys_are_two(bench: Bench) -> None:
    made = bench.create()
    (bench.folder / "next").mkdir()

    def following() -> Signer:
        return make_next_key(bench.place, bench.folder, ENVIRONMENT, folder=bench.folder / "next", label="cairn-2")

    second = following()
    assert second.public_key != made.public_key
    assert following().public_key == second.public_key  # after a crash, the same one
    second.public_key.verify(b"m", second.sign(b"m"))
    made.public_key.verify(b"m", made.sign(b"m"))


def test_a_key_is_never_made_over_another(bench: Bench) -> None:
    made = bench.create()
    with pytest.raises(IdentityError, match="already holds a key"):
        bench.create()
    assert bench.open().public_key == made.public_key


def test_a_key_that_is_not_there_is_a_sentence(bench: Bench) -> None:
    with pytest.raises(IdentityError, match="cairn-edge init"):
        bench.open()


def test_nothing_shows_more_than_the_public_half(bench: Bench) -> None:
    signer = bench.create()
    assert repr(signer).partition("(")[2] == f"{signer.public_key.name})"
    assert PIN not in repr(vars(signer) if bench.token else signer)


def test_a_crash_writes_no_key_to_the_disk(bench: Bench) -> None:
    bench.create()
    bench.open()
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


# What can happen to a token alone


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm") as made:
        yield made


@pytest.mark.parametrize(
    ("opened", "complaint"),
    [
        (lambda token: SoftToken(token.folder, "/nowhere.so").opened(), "nowhere.so cannot be loaded"),
        (lambda token: SoftToken(token.folder, "/etc/passwd").opened(), "passwd cannot be loaded"),
        (lambda token: token.opened(label="another"), "there is no token 'another'"),
        (lambda token: token.opened(pin="11111"), "refuses the PIN"),
    ],
    ids=["no module", "no library", "no token", "wrong PIN"],
)
def test_a_token_that_cannot_be_used_is_a_sentence(
    token: SoftToken, opened: Callable[[SoftToken], KeyToken], complaint: str
) -> None:
    subject = opened(token)
    with pytest.raises(IdentityError, match=complaint) as caught:
        subject.load("cairn")
    assert "11111" not in str(caught.value)
    assert caught.value.__cause__ is None or "11111" not in str(caught.value.__cause__)


def test_a_wrong_pin_is_tried_once_so_that_the_token_does_not_lock(token: SoftToken) -> None:
    asked: list[str] = []

    def wrong() -> str:
        asked.append("asked")
        return "99999"

    subject = KeyToken(token.module, LABEL, pin=wrong)
    for _ in range(5):
        with pytest.raises(TokenError, match="refuses the PIN"):
            subject.load("cairn")
    assert len(asked) == 1


def test_a_token_pulled_out_is_a_sentence_and_goes_on_when_it_is_back(token: SoftToken) -> None:
    signer = token.opened().create("cairn")
    before = signer.sign(b"m")
    token.pull()
    for _ in range(2):
        with pytest.raises(TokenError, match="cairn-test"):
            signer.sign(b"m")
    token.put_back()
    assert signer.sign(b"m") == before


def test_another_token_with_the_same_labels_signs_nothing_in_this_ones_name(token: SoftToken) -> None:
    signer = token.opened().create("cairn")
    token.exchange()
    with pytest.raises(TokenError):  # the session is gone
        signer.sign(b"m")
    token.opened().create("cairn")
    with pytest.raises(TokenError, match="does not hold the key of this device any more"):
        signer.sign(b"m")


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        (KeyPlace(source="pkcs11", module="/m.so", token="t", label="l", pin_variable="CAIRN_PIN"), "holds no PIN"),
        (KeyPlace(source="pkcs11", module="/m.so", token="t", label="l", pin_file="pin"), "cannot be read"),
        (KeyPlace(source="pkcs11", module="/m.so", token="t", label="l", pin_file="open"), "chmod 600"),
        (KeyPlace(source="pkcs11", module="/m.so", token="t", label="l", pin_file="empty"), "holds no PIN"),
    ],
    ids=["no variable", "no file", "readable by others", "empty"],
)
def test_a_pin_that_cannot_be_had_is_a_sentence(
    token: SoftToken, tmp_path: Path, place: KeyPlace, complaint: str
) -> None:
    (tmp_path / "open").touch(0o644)
    (tmp_path / "empty").touch(0o600)
    real = KeyPlace(
        source="pkcs11",
        module=token.module,
        token=place.token,
        label="l",
        pin_file=place.pin_file,
        pin_variable=place.pin_variable,
    )
    with pytest.raises(IdentityError, match=complaint):
        open_signer(real, tmp_path, {})


def test_a_key_of_the_token_never_leaves_it(token: SoftToken) -> None:
    token.opened().create("cairn")
    with pkcs11.lib(token.module).get_token(token_label="cairn-test").open() as session:
        private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="cairn")
        assert private[pkcs11.Attribute.SENSITIVE]
        assert not private[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            private[pkcs11.Attribute.VALUE]


def test_the_key_file_is_one_of_the_family(tmp_path: Path) -> None:
    with pytest.raises(IdentityError):
        create_key_file(tmp_path / "nowhere" / "device.key")
