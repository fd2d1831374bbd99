"""A key changes: killed at any step, either the old device or the new one is whole, and the change can be finished."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.keeping.outbox import Outbox, OutboxLimits, Waiting
from edge.keeping.outbox_lane import Lane
from edge.keeping.priority import Priority
from edge.keeping.sequence import SequenceLedger, read_ledger
from edge.owning.anchors import KeyPlace
from edge.owning.identity import IdentityError, create_key_file, load_key_file
from edge.owning.keys import make_next_key
from edge.owning.rotation import (
    FarewellMark,
    RotationError,
    farewell_of,
    finish_rotation,
    mark_farewell,
    plan_of,
    prepare,
    switch_unheard,
)
from edge.place import BOOTS_FILE, KEY_FILE, OUTBOX_FILE, OWNER_FILE, RETIRED_FOLDER, SEQUENCE_FILE
from protocol.envelope import block_digest
from protocol.identity import PublicKey, Signer
from protocol.observation import succession_words
from protocol.verdict import Verdict
from tests.support.edge_story import NETWORK, NOW_MS, key_pair, receipt_for

HUB = key_pair("hub")
LIMITS = OutboxLimits()
BLOCK = b"the last envelope"


class Killed(BaseException):
    """The power went."""


def killed_at(step: int) -> Callable[[], None]:
    """Let ``step`` steps pass."""
    left = [step]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return count


def make_device(home: Path) -> PublicKey:
    key = create_key_file(home / KEY_FILE)
    SequenceLedger.create(home / SEQUENCE_FILE)
    ledger = SequenceLedger.open(home / SEQUENCE_FILE)
    sequence = [ledger.take() for _ in range(3)][-1]
    ledger.close()
    outbox = Outbox.open(home / OUTBOX_FILE, limits=LIMITS)
    outbox.append([Waiting(sequence, block_digest(BLOCK), BLOCK, NOW_MS, Priority.TRACK, 1)])
    receipt, lines = receipt_for(HUB, key.public_key, (sequence, block_digest(BLOCK), Verdict.ACCEPTED))
    Lane(outbox, HUB.public_key).settle(lines, receipt=receipt, heard_at_ms=NOW_MS)
    outbox.close()
    (home / BOOTS_FILE).write_text("{}")
    (home / OWNER_FILE).write_text("the owner stays")
    return key.public_key


def rotate(home: Path, step: Callable[[], None] = lambda: None) -> PublicKey | None:
    """All of it, as `cairn-edge rotate-key` does it with a hub that answers at once; goes on where it was killed."""
    arrived = finish_rotation(home, limits=LIMITS, after_step=step)
    if arrived is not None or (home / RETIRED_FOLDER).exists():
        return arrived
    device = load_key_file(home / KEY_FILE).public_key

    def make_key(folder: Path) -> Signer:
        return make_next_key(KeyPlace(), home, {}, folder=folder, label="")

    prepare(home, network=NETWORK, device=device, make_key=make_key, after_step=step)
    if farewell_of(home) is None:
        mark_farewell(home, FarewellMark(3, block_digest(BLOCK).hex()))
        step()
    return finish_rotation(home, limits=LIMITS, after_step=step)


def whole_device(home: Path) -> PublicKey | None:
    """Whoever could sign now; None: nobody, because the sequence file is away."""
    if not (home / SEQUENCE_FILE).exists():
        return None
    used_until = read_ledger(home / SEQUENCE_FILE)[1]
    key = load_key_file(home / KEY_FILE).public_key
    assert (used_until == 3) == (home / OUTBOX_FILE).exists()
    return key


def steps_altogether(home: Path) -> int:
    make_device(home)
    steps = []
    rotate(home, lambda: steps.append(1))
    return len(steps)


def test_killed_at_any_step_one_device_is_whole_and_the_change_goes_on(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    steps = steps_altogether(tmp_path / "count")
    assert steps > 12
    seen = set()
    for step in range(steps):
        home = tmp_path / str(step)
        home.mkdir()
        old = make_device(home)
        with pytest.raises(Killed):
            rotate(home, killed_at(step))
        between = whole_device(home)
        rotate(home)
        new = whole_device(home)
        assert new is not None
        assert new != old
        assert between in {old, None, new}
        seen.add("old" if between == old else "nobody" if between is None else "new")
        assert_arrived(home, old)
    assert seen == {"old", "nobody", "new"}


def assert_arrived(home: Path, old: PublicKey) -> None:
    retired = home / RETIRED_FOLDER
    assert read_ledger(home / SEQUENCE_FILE) == (0, 0)
    assert load_key_file(retired / f"{old.name}.key").public_key == old
    assert stat.S_IMODE((retired / f"{old.name}.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(retired.stat().st_mode) == 0o700
    assert read_ledger(retired / f"{old.name}.sequence.json")[1] == 3
    kept = Outbox.open(retired / f"{old.name}.outbox.db", limits=LIMITS)
    assert len(kept.receipts()) == 1
    kept.close()
    assert (home / OWNER_FILE).read_text() == "the owner stays"
    present = {path.name for path in home.iterdir()}
    assert present == {KEY_FILE, SEQUENCE_FILE, f"{SEQUENCE_FILE}.lock", OWNER_FILE, RETIRED_FOLDER}


_PROGRAM = """
import os, sys
from pathlib import Path
from tests.unit import test_rotation
left = [int(sys.argv[2])]
def step():
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), 9)
test_rotation.rotate(Path(sys.argv[1]), step)
"""


@pytest.mark.parametrize("step", [8, 11])
def test_killed_for_real_it_goes_on_too(tmp_path: Path, step: int) -> None:
    old = make_device(tmp_path)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    outcome = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), str(step)], cwd=root, env=environment, check=False
    )
    assert outcome.returncode == -9
    rotate(tmp_path)
    assert whole_device(tmp_path) not in {old, None}
    assert_arrived(tmp_path, old)


def test_the_plan_holds_what_the_old_key_has_to_say(tmp_path: Path) -> None:
    old = make_device(tmp_path)
    made = []

    def make_key(folder: Path) -> Signer:
        made.append(make_next_key(KeyPlace(), tmp_path, {}, folder=folder, label=""))
        return made[-1]

    plan = prepare(tmp_path, network=NETWORK, device=old, make_key=make_key)
    assert plan == plan_of(tmp_path) == prepare(tmp_path, network=NETWORK, device=old, make_key=make_key)
    assert len(made) == 1
    assert plan.retiring == old
    new = plan.next_key
    new.verify(succession_words(NETWORK, old.key_id, new.key_id), plan.succession.consent)


def test_nothing_switches_before_the_receipt(tmp_path: Path) -> None:
    old = make_device(tmp_path)
    prepare(
        tmp_path,
        network=NETWORK,
        device=old,
        make_key=lambda folder: make_next_key(KeyPlace(), tmp_path, {}, folder=folder, label=""),
    )
    for sequence, digest in ((4, block_digest(BLOCK)), (3, bytes(32))):
        mark_farewell(tmp_path, FarewellMark(sequence, digest.hex()))
        assert finish_rotation(tmp_path, limits=LIMITS) is None
        assert whole_device(tmp_path) == old
        (tmp_path / "next" / "farewell.json").unlink()


def test_nothing_switches_while_something_waits_behind_the_farewell(tmp_path: Path) -> None:
    old = make_device(tmp_path)
    with pytest.raises(Killed):
        rotate(tmp_path, killed_at(4))
    mark_farewell(tmp_path, FarewellMark(3, block_digest(BLOCK).hex()))
    outbox = Outbox.open(tmp_path / OUTBOX_FILE, limits=LIMITS)
    outbox.append([Waiting(4, bytes(32), b"one more", NOW_MS, Priority.TRACK, 1)])
    assert finish_rotation(tmp_path, limits=LIMITS) is None
    assert whole_device(tmp_path) == old
    assert outbox.abandon(below=5) == 1
    outbox.close()
    assert finish_rotation(tmp_path, limits=LIMITS) is not None


def test_a_running_agent_keeps_its_key(tmp_path: Path) -> None:
    make_device(tmp_path)
    rotate_until_farewell = killed_at(6)
    with pytest.raises(Killed):
        rotate(tmp_path, rotate_until_farewell)
    ledger = SequenceLedger.open(tmp_path / SEQUENCE_FILE)
    with pytest.raises(RotationError, match="an agent is running"):
        finish_rotation(tmp_path, limits=LIMITS)
    with pytest.raises(RotationError, match="an agent is running"):
        switch_unheard(tmp_path)
    ledger.close()


def test_a_plan_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    make_device(tmp_path)
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "plan.json").write_text("{}")
    with pytest.raises(RotationError, match=r"plan\.json cannot be read"):
        plan_of(tmp_path)


def test_a_next_key_in_a_token_needs_a_name(tmp_path: Path) -> None:
    place = KeyPlace(source="pkcs11", module="/m.so", token="t", label="l", pin_variable="CAIRN_PIN")
    with pytest.raises(IdentityError, match="--key-label"):
        make_next_key(place, tmp_path, {}, folder=tmp_path, label="")
