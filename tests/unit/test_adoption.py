"""A device and its owner: only who knows the secret, only this device, only once; durable, private, first come."""

import stat
from pathlib import Path

import msgspec
import pytest

from edge.owning.adoption import (
    Adoption,
    AdoptionError,
    create_secret,
    owner_of,
    renew_secret,
    set_owner,
)
from edge.owning.identity import KeyFileError
from edge.place import ADOPTION_FILE, OWNER_FILE
from protocol.adoption import AdoptionLink, adopt, encode_adoption
from protocol.errors import MalformedError
from protocol.identity import KeyPair, PublicKey
from tests.support.edge_story import NETWORK, key_pair

DEVICE = key_pair("adopted device").public_key
OTHER = key_pair("another device").public_key
ALICE, MALLORY = b"\xa1" * 20, b"\x66" * 20


class Told(msgspec.Struct, frozen=True):
    owner: str = ""


NOBODY = Told()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_secret(tmp_path)
    return tmp_path


def waiting(home: Path, device: PublicKey = DEVICE, network: str = NETWORK) -> Adoption:
    return Adoption.open(home, network=network, device=device)


def secret_of(adoption: Adoption) -> bytes:
    assert adoption.link is not None
    return adoption.link.secret


def message(secret: bytes, owner: bytes = ALICE, *, network: str = NETWORK, device: PublicKey = DEVICE) -> bytes:
    return encode_adoption(adopt(secret, network=network, device=device, owner=owner))


def test_whoever_knows_the_secret_is_the_owner(home: Path) -> None:
    adoption = waiting(home)
    assert owner_of(home, NOBODY) is None
    assert adoption.hear(message(secret_of(adoption))) == ALICE
    assert owner_of(home, NOBODY) == ALICE
    assert not (home / ADOPTION_FILE).exists()
    assert stat.S_IMODE((home / OWNER_FILE).stat().st_mode) == 0o600
    assert adoption.link is None
    assert waiting(home).link is None


def test_a_wrong_secret_adopts_nothing(home: Path) -> None:
    adoption = waiting(home)
    assert adoption.hear(message(bytes(16))) is None
    assert adoption.hear(message(secret_of(adoption)[:-1] + bytes([secret_of(adoption)[-1] ^ 1]))) is None
    right = message(secret_of(waiting(home)), MALLORY)
    for place in range(len(right)):
        assert adoption.hear(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :]) is None
    assert owner_of(home, NOBODY) is None


@pytest.mark.parametrize(
    "changes", [{"network": "another"}, {"device": OTHER}], ids=["another network", "another device"]
)
def test_an_adoption_meant_for_another_is_refused(home: Path, changes: dict[str, str]) -> None:
    adoption = waiting(home)
    meant = encode_adoption(
        adopt(secret_of(adoption), **{"network": NETWORK, "device": DEVICE, "owner": ALICE} | changes)  # type: ignore[arg-type]
    )
    assert adoption.hear(meant) is None
    assert owner_of(home, NOBODY) is None
    # Nor does renaming what it is for help: the tag covers both.
    renamed = msgspec.structs.replace(
        adopt(secret_of(adoption), **{"network": NETWORK, "device": DEVICE, "owner": ALICE} | changes),  # type: ignore[arg-type]
        network=NETWORK,
        device=DEVICE.key_id,
    )
    assert adoption.hear(encode_adoption(renamed)) is None


def test_a_replay_after_the_secret_is_burnt_adopts_nothing(home: Path) -> None:
    adoption = waiting(home)
    secret = secret_of(adoption)
    adoption.hear(message(secret))
    for later in (adoption, waiting(home)):
        assert later.hear(message(secret)) is None
        assert later.hear(message(secret, MALLORY)) is None
    assert owner_of(home, NOBODY) == ALICE


@pytest.mark.parametrize("noise", [b"", b"{}", b"\x86\x08", bytes(300), b"\xff" * 100])
def test_noise_is_refused_and_the_device_still_waits(home: Path, noise: bytes) -> None:
    adoption = waiting(home)
    assert adoption.hear(noise) is None
    assert adoption.hear(message(secret_of(adoption))) == ALICE


def test_a_crash_before_the_burning_leaves_an_owner_and_burns_at_the_next_start(home: Path) -> None:
    secret = (home / ADOPTION_FILE).read_bytes()
    set_owner(home, ALICE, told_by="adoption")
    (home / ADOPTION_FILE).touch(0o600)
    (home / ADOPTION_FILE).write_bytes(secret)
    assert waiting(home).link is None
    assert not (home / ADOPTION_FILE).exists()
    assert owner_of(home, NOBODY) == ALICE


def test_the_first_owner_stays_unless_it_is_said_otherwise(home: Path) -> None:
    adoption = waiting(home)
    set_owner(home, ALICE, told_by="console")
    with pytest.raises(AdoptionError, match="has an owner already"):
        adoption.hear(message(secret_of(adoption), MALLORY))
    assert owner_of(home, NOBODY) == ALICE
    set_owner(home, MALLORY, told_by="console", is_replacing=True)
    assert owner_of(home, NOBODY) == MALLORY
    assert sorted(path.name for path in home.iterdir()) == [OWNER_FILE]


def test_the_settings_outrank_an_adoption(home: Path) -> None:
    set_owner(home, MALLORY, told_by="adoption")
    assert owner_of(home, Told(owner="0x" + ALICE.hex())) == ALICE


def test_a_secret_is_kept_until_another_is_asked_for(home: Path) -> None:
    before = secret_of(waiting(home))
    create_secret(home)
    assert secret_of(waiting(home)) == before
    renew_secret(home)
    assert secret_of(waiting(home)) != before


def test_a_secret_or_record_that_cannot_be_trusted_is_a_sentence_without_it(home: Path) -> None:
    path = home / ADOPTION_FILE
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        waiting(home)
    path.chmod(0o600)
    path.write_text("zz" * 16)
    with pytest.raises(AdoptionError, match="holds no secret") as caught:
        waiting(home)
    assert "zz" not in str(caught.value)
    assert caught.value.__cause__ is None
    path.unlink()
    assert waiting(home).link is None
    (home / OWNER_FILE).touch(0o600)
    (home / OWNER_FILE).write_text('{"owner": "0x12", "told_by": "console"}')
    with pytest.raises(AdoptionError, match=r"owner\.json cannot be read"):
        owner_of(home, NOBODY)


def test_a_disk_that_refuses_leaves_the_device_waiting(home: Path) -> None:
    adoption = waiting(home)
    secret = secret_of(adoption)
    (home / OWNER_FILE).mkdir()  # nothing can be linked or renamed there
    with pytest.raises(AdoptionError):
        adoption.hear(message(secret))
    (home / OWNER_FILE).rmdir()
    assert waiting(home).hear(message(secret)) == ALICE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://hub.example/adopt",
        "https://hub.example/adopt?device=x&network=y&secret=" + "0" * 32,
        "ftp://hub.example/adopt#{fragment}",
        "https://hub.example/other#{fragment}",
        "https://hub.example/adopt#{fragment}&secret=" + "1" * 32,
        "https://hub.example/adopt#{fragment}00",
        "https://hub.example/adopt#{device}&network=Bad Name&secret=" + "0" * 32,
        "https://hub.example/adopt#{device}&network=edge-test&secret=" + "G" * 32,
    ],
)
def test_what_is_no_link_is_refused_without_showing_the_secret(text: str) -> None:
    device = f"device={DEVICE.did}"
    written = text.replace("{fragment}", f"{device}&network=edge-test&secret={'ab' * 16}").replace("{device}", device)
    with pytest.raises(MalformedError) as caught:
        AdoptionLink.parse(written)
    assert "abab" not in str(caught.value)


@pytest.mark.parametrize("hub_url", ["", "http://127.0.0.1:8080", "https://hub.example/base"])
def test_a_link_reads_back(hub_url: str) -> None:
    link = AdoptionLink(DEVICE, NETWORK, bytes(range(16)))
    assert AdoptionLink.parse(link.text(hub_url) + "\n") == (hub_url, link)
    assert "0001" not in repr(link)


def test_a_key_pair_keeps_its_seed_out_of_sight() -> None:
    pair = KeyPair(b"\x07" * 32)
    assert "07" * 4 not in repr(pair)
