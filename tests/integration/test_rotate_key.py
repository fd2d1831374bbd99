"""`cairn-edge rotate-key` on a real broker: the hub hears the old key's farewell before the new key takes over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli import main
from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.sequence import SequenceLedger, read_ledger
from edge.keeping.signer import EnvelopeSigner
from edge.owning.identity import load_key_file
from edge.owning.keys import open_signer
from edge.owning.rotation import plan_of
from edge.place import KEY_FILE, KEY_LABEL_FILE, OUTBOX_FILE, RETIRED_FOLDER, SEQUENCE_FILE
from edge.settings import load_settings
from protocol.beacon import NO_BEACON
from protocol.envelope import NO_MODEL, Envelope
from protocol.identity import PublicKey
from protocol.observation import Gap, GapReason, Succession, succession_words
from tests.support.edge_story import (
    BEACON,
    NETWORK,
    OWNER,
    PLACE,
    Broker,
    ListeningHub,
    clock_ms,
    key_pair,
    make_device,
    person,
    running_broker,
)
from tests.support.edge_tokens import PIN, soft_token

HUB = key_pair("hub").public_key
LIMITS = OutboxLimits()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, broker: Broker) -> Path:
    make_device(tmp_path / "door", hub=HUB, port=broker.port)
    return tmp_path / "door"


def sign_envelopes(home: Path, count: int) -> None:
    """Let the device sign, as its agent does, and stop before anything is delivered."""
    signer = open_signer(load_settings(home, {}).key, home, {"CAIRN_PIN": PIN})
    ledger = SequenceLedger.open(home / SEQUENCE_FILE)
    outbox = Outbox.open(home / OUTBOX_FILE, limits=LIMITS)
    writer = EnvelopeSigner(signer, network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=bytes(32))
    for number in range(count):
        seen = (person(2 * number + 1, clock_ms()), person(2 * number + 2, clock_ms()))
        writer.sign(Draft(NO_BEACON, NO_MODEL, "0.1.0", PLACE, clock_ms(), seen))
    outbox.close()
    ledger.close()


def rotate(home: Path, *more: str) -> int:
    return main(["rotate-key", "--dir", str(home), *more])


def key_of(home: Path) -> PublicKey:
    return load_key_file(home / KEY_FILE).public_key


def last_envelope(listening: ListeningHub, device: PublicKey) -> Envelope:
    kept = listening.hub.kept[device]
    return kept[max(kept)]


def test_the_old_key_names_the_new_one_and_the_hub_has_it(
    broker: Broker, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = key_of(home)
    sign_envelopes(home, 2)
    assert rotate(home) == 1
    assert "2 envelopes have no receipt yet" in capsys.readouterr().err
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        assert rotate(home, "--abandon") == 0
        new = key_of(home)
        assert capsys.readouterr().out == new.did + "\n"
        assert new != old
        farewell = last_envelope(listening, old)
        assert farewell.beacon == BEACON
        gap, succession = farewell.observations
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.envelopes, gap.observations) == (GapReason.ABANDONED, 2, 4)
        assert (gap.first_sequence, gap.last_sequence, farewell.sequence) == (1, 2, 3)
        assert isinstance(succession, Succession)
        new.verify(succession_words(NETWORK, old.key_id, new.key_id), succession.consent)
        assert list(listening.hub.kept[old]) == [3]  # what was given up was not sent
        assert listening.hub.reused == []
    assert read_ledger(home / SEQUENCE_FILE) == (0, 0)
    assert load_key_file(home / RETIRED_FOLDER / f"{old.name}.key").public_key == old
    archived = Outbox.open(home / RETIRED_FOLDER / f"{old.name}.outbox.db", limits=LIMITS)
    assert len(archived.receipts()) == 1
    archived.close()


def test_without_the_hub_the_old_key_stays_until_the_receipt_came(
    broker: Broker, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = key_of(home)
    sign_envelopes(home, 1)
    assert rotate(home, "--abandon", "--wait-s", "0") == 3
    said = capsys.readouterr()
    assert said.out == old.did + "\n"
    assert "keeps that key" in said.err
    plan = plan_of(home)
    assert plan is not None
    (home / "next" / "farewell.json").unlink()  # as if the power went between the last envelope and its mark
    assert rotate(home, "--later") == 3
    assert key_of(home) == old
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        assert rotate(home) == 0
        # Asked three times, said once.
        assert [len(kept) for kept in listening.hub.kept.values()] == [1]
    assert key_of(home) == plan.next_key


def test_later_leaves_the_delivery_to_the_agent(broker: Broker, home: Path) -> None:
    old = key_of(home)
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        sign_envelopes(home, 1)
        assert rotate(home, "--later", "--abandon") == 3
        assert key_of(home) == old
        # Any run of the device's uplink delivers it; then the next call switches without a word to the hub.
        assert rotate(home) == 0
        assert last_envelope(listening, old).observations[-1] == Succession(
            key_of(home).key_id,
            last_envelope(listening, old).observations[-1].consent,  # type: ignore[union-attr]
        )


def test_keys_in_a_token_change_too(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "door"
    with soft_token(tmp_path / "hsm") as token, ListeningHub(broker.port) as listening:
        words = f"--network {NETWORK} --hub-key {HUB.did} --broker-host 127.0.0.1 --owner {OWNER} --lat 1 --lon 2"
        port = ["--broker-port", str(broker.port)]
        assert main(["init", "--dir", str(home), *words.split(), *port, *token.words("cairn-1")]) == 0
        listening.relay_beacon()
        old = PublicKey.parse(capsys.readouterr().out.strip())
        sign_envelopes(home, 1)
        assert rotate(home, "--abandon") == 1
        assert "--key-label" in capsys.readouterr().err
        assert rotate(home, "--abandon", "--key-label", "cairn-1") == 1
        assert "already" in capsys.readouterr().err
        assert rotate(home, "--abandon", "--key-label", "cairn-2") == 0
        new = PublicKey.parse(capsys.readouterr().out.strip())
        assert new != old
        assert (home / KEY_LABEL_FILE).read_text() == "cairn-2\n"
        assert main(["id", "--dir", str(home)]) == 0
        assert capsys.readouterr().out.splitlines()[0] == new.did
        succession = last_envelope(listening, old).observations[-1]
        assert isinstance(succession, Succession)
        new.verify(succession_words(NETWORK, old.key_id, new.key_id), succession.consent)
