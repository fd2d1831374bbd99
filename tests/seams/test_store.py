"""The index: one suite, SQLite and PostgreSQL. Whatever the database, the log decides what stands in it."""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from hub.domain.admission import Message, admit, open_message
from hub.domain.records import BlockPlace
from hub.domain.standing import MemoryStanding
from hub.log.reading import read_log
from hub.reindex import catch_up, reindex
from hub.reindex import facts as logged_facts
from hub.store import reading, tables
from hub.store.epochs import epoch_row
from hub.store.logged import Kept, LoggedBatch, LoggedEntry
from hub.store.reading import Sieve, Window
from hub.store.session import Database, StoreError
from hub.store.store import Store
from hub.store.tables import ObservationKind
from protocol.beacon import NO_BEACON, Beacon
from protocol.cid import Cid
from protocol.classes import CAR
from protocol.observation import Gap, Health, Observation, Quantity, Reading, ReadingFlag, Succession
from protocol.payload import encode_payload
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_databases import new_database, postgres_server
from tests.support.hub_intake import SCHEDULE, IntakeBench
from tests.support.hub_story import BEACON, EPOCH_MS, HUB, NETWORK, POLICY, START_MS, StoryDevice, relayed, track
from tests.support.own_words import ALL_KINDS, CROSSING, GAP, HEALTH, STAY, succession

TABLES = sorted(tables.metadata.tables)


@pytest.fixture(scope="module")
def postgres_port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.sqlite'}"
    return new_database(request.getfixturevalue("postgres_port"), f"cairn_{uuid.uuid4().hex}")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.database.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[IntakeBench]:
    made = IntakeBench(tmp_path / "hub", store)
    yield made
    made.shut()


def busy_messages(seed: int, count: int) -> list[list[Message]]:
    """Batches in which honest, broken, cloned, replaying, stale, unknown and repeating devices speak at once."""
    chance = random.Random(seed)
    devices = [StoryDevice(seed * 100 + number) for number in range(6)]
    said: list[Message] = [device.enrollment() for device in devices[:5]]
    batches: list[list[Message]] = [list(said)]
    while len(said) < count:
        batch: list[Message] = []
        for _ in range(chance.randint(1, 12)):
            batch.append(_anything(chance, devices, said))
            said.append(batch[-1])
        batches.append(batch)
    return batches


def _anything(chance: random.Random, devices: list[StoryDevice], said: list[Message]) -> Message:
    device = chance.choice(devices)
    unlikely: list[Callable[[], Message]] = [
        lambda: chance.choice(said),  # the very same again
        lambda: device.envelope(sequence=chance.randint(2, 9), previous=chance.randbytes(32)),  # a clone, or a break
        lambda: device.envelope(observations=(track(chance.randint(1, 6)),)),  # often claimed before
        lambda: device.envelope(beacon=Beacon(9, chance.randbytes(32))),
        lambda: device.envelope(beacon=NO_BEACON),
        lambda: device.envelope(START_MS + chance.choice((-700_000, 90_000))),
        lambda: Message(said[0].topic, chance.randbytes(chance.randint(0, 90))),
        lambda: device.enrollment(START_MS + chance.randint(-1_000, 1_000), owner=chance.randbytes(20)),
        lambda: replace(device.envelope(), topic=said[0].topic),
    ]
    if chance.random() < 0.4:
        own_words = chance.sample((*ALL_KINDS, _gap(chance), _health(chance)), chance.randint(0, 3))
        return device.envelope(observations=(track(chance.randrange(1 << 40)), _reading(chance), *own_words))
    return chance.choice(unlikely)()


def _gap(chance: random.Random) -> Gap:
    return msgspec.structs.replace(GAP, observations=chance.choice((0, 5, 2**53 - 1)))


def _health(chance: random.Random) -> Health:
    return msgspec.structs.replace(HEALTH, soc_mdegc=chance.choice((None, 48_000, 61_000)))


def _reading(chance: random.Random) -> Reading:
    return Reading(Quantity.TEMPERATURE_MDEGC, START_MS, chance.randint(-40_000, 50_000), 500)


def all_rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    return {name: store.rows(name) for name in TABLES}


def test_the_migrations_give_exactly_the_tables_that_are_declared(store: Store, url: str) -> None:
    assert store.database.drift() == []
    again = Database.open(url)
    assert again.drift() == []
    again.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_admission_over_the_index_gives_the_verdicts_that_memory_gives(bench: IntakeBench, seed: int) -> None:
    standing = relayed(MemoryStanding())
    expected: list[tuple[bytes, int]] = []
    bench.relay()
    for batch in busy_messages(seed, 150):
        together = [open_message(message, NETWORK) for message in batch]
        for opened in sorted(together, key=lambda one: one.enrollment is None):  # enrollments first, as the intake does
            verdict = admit(opened, standing, POLICY, received_at_ms=START_MS)
            standing.learn(opened, verdict)
            expected.append((opened.digest, int(verdict)))
        bench.take(*batch)
    column = [column.name for column in tables.entries.columns].index
    stored = [(row[column("digest")], row[column("verdict")]) for row in bench.store.rows("entries")]
    assert stored == expected
    assert len({verdict for _, verdict in expected}) >= 9  # the story has something of nearly everything


def test_a_rebuilt_index_is_the_live_one_row_by_row(bench: IntakeBench) -> None:
    bench.relay()
    for batch in busy_messages(7, 120):
        bench.take(*batch)
    bench.go_to_epoch(2)
    bench.relay(Beacon(8, bytes(32)), bench.now_ms)
    device = StoryDevice(4_242)
    bench.take(device.enrollment(bench.now_ms))
    bench.take(device.envelope(bench.now_ms, beacon=Beacon(8, bytes(32))))
    bench.go_to_epoch(4)
    assert bench.close_epochs() == 3
    live = all_rows(bench.store)
    assert all(live[name] for name in TABLES if name != "tallies")
    assert reindex(bench.store, bench.segments, HUB.public_key, lambda _: None) == len(live["batches"])
    bench.close_epochs()
    assert all_rows(bench.store) == live


def test_what_a_crash_kept_from_the_index_is_caught_up(bench: IntakeBench) -> None:
    batches = busy_messages(8, 90)
    bench.relay()
    for batch in batches:
        bench.take(*batch)
    whole = all_rows(bench.store)
    last = whole["batches"][-1][0]
    assert isinstance(last, int)
    bench.store.empty()
    facts = list(logged_facts(read_log([next(bench.segments.glob("*.open"))], HUB.public_key)))
    for fact in facts[: len(facts) // 2]:
        bench.store.index(fact)
    assert 0 < catch_up(bench.store, bench.segments, HUB.public_key) < last
    assert all_rows(bench.store) == whole
    assert catch_up(bench.store, bench.segments, HUB.public_key) == 0
    assert all_rows(bench.store) == whole


def test_an_index_of_another_log_is_refused(bench: IntakeBench, tmp_path: Path) -> None:
    bench.take(StoryDevice(1).enrollment())
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(StoreError, match="another log"):
        catch_up(bench.store, other, HUB.public_key)


def test_a_batch_is_indexed_once_and_whole_or_not_at_all(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment(), device.envelope())
    before = all_rows(bench.store)
    opened = open_message(device.envelope(), NETWORK)
    known = _digest(before["entries"][0])
    batch = LoggedBatch(
        batch=2,
        segment=1,
        epoch=1,
        received_at_ms=START_MS,
        entries=(
            LoggedEntry(opened.digest, Verdict.ACCEPTED, Kept(opened, _place(opened.digest))),
            LoggedEntry(known, Verdict.ACCEPTED, Kept(opened, _place(known))),
        ),
        unlisted=(),
    )
    with pytest.raises(StoreError):  # the second block is in the index already: the whole batch must go
        bench.store.index(batch)
    assert all_rows(bench.store) == before


def test_judging_looks_at_nothing_later_than_the_epoch_before(bench: IntakeBench) -> None:
    device, later = StoryDevice(1), StoryDevice(2)
    bench.relay()
    first = device.envelope()
    bench.take(device.enrollment(), first)
    bench.go_to_epoch(2)
    bench.relay(Beacon(8, bytes(32)), bench.now_ms)
    second, clone = device.envelope(bench.now_ms), device.envelope(sequence=1, previous=bytes(32))
    again = device.envelope(sequence=9, previous=b"\x09" * 32, observations=_observations(first))
    bench.take(later.enrollment(bench.now_ms), second, first, clone, again)
    with bench.store.standing_before(2, SCHEDULE.starts_at_ms(2)) as before:
        opened, unseen = open_message(first, NETWORK), open_message(second, NETWORK)
        assert before.is_enrolled(device.keys.public_key)
        assert not before.is_enrolled(later.keys.public_key)
        assert before.holds(opened.digest)
        assert not before.holds(unseen.digest)
        assert before.digest_at(device.keys.public_key, 1) == opened.digest
        assert before.digest_at(device.keys.public_key, 2) is None
        assert opened.claims is not None
        assert unseen.claims is not None
        assert before.claimed(opened.claims)
        assert not before.claimed(unseen.claims)
        assert before.beacon_made_at_ms(BEACON) == START_MS
        assert before.beacon_made_at_ms(Beacon(8, bytes(32))) is None
    with bench.store.standing_before(1, START_MS) as nothing:
        assert not nothing.is_enrolled(device.keys.public_key)
        assert nothing.beacon_made_at_ms(BEACON) is None


@pytest.mark.parametrize("seed", [11, 12])
def test_epochs_judged_with_the_index_are_the_epochs_judged_from_the_log_alone(bench: IntakeBench, seed: int) -> None:
    bench.relay()
    for number, batch in enumerate(busy_messages(seed, 150)):
        bench.take(*batch)
        if number % 4 == 3:
            bench.now_ms += EPOCH_MS // 3
            bench.relay(Beacon(100 + number, bytes(32)), bench.now_ms)
    bench.go_to_epoch(SCHEDULE.epoch_at(bench.clock()) + 1)
    assert bench.close_epochs() >= 2
    archive = bench.archive()
    for epoch in range(1, bench.writer.epoch):
        assert archive.replay(epoch).is_same


def _observations(message: Message) -> tuple[Observation, ...]:
    envelope = open_message(message, NETWORK).envelope
    assert envelope is not None
    return envelope.observations


def test_pages_show_every_row_once_and_in_log_order(bench: IntakeBench) -> None:
    bench.relay()
    for batch in busy_messages(9, 100):
        bench.take(*batch)
    with bench.store.database.reading() as connection:
        whole = reading.verdicts(connection, Sieve(), Window(1_000))
        paged: list[reading.VerdictLine] = []
        while page := reading.verdicts(connection, Sieve(), Window(7, paged[-1].cursor if paged else -1)):
            paged += page
        assert paged == whole
        assert len(whole) == len(bench.store.rows("entries"))
        refused = reading.verdicts(connection, Sieve(verdict=Verdict.REPLAY), Window(1_000))
        assert refused == [line for line in whole if line.verdict is Verdict.REPLAY]
        devices = reading.devices(connection, Window(1_000))
        assert [row.cursor for row in devices] == sorted(row.cursor for row in devices)
        seen = reading.observations(connection, Sieve(), Window(1_000))
        assert len(seen) == len(bench.store.rows("observations"))
        for row in devices:
            of_device = reading.observations(connection, Sieve(device=row.name), Window(1_000))
            assert of_device == [line for line in seen if line.device == row.name]
            accepted = [line for line in of_device if line.verdict is Verdict.ACCEPTED]
            assert row.observations == sum(
                line.kind in (ObservationKind.TRACK, ObservationKind.READING) for line in accepted
            )


def test_observations_are_found_by_class_time_epoch_and_verdict(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    car = msgspec.structs.replace(track(5, START_MS + 100), class_id=CAR)
    reading_line = Reading(Quantity.PRESSURE_PA, UnixMs(START_MS + 5_000), -3, 1)
    bench.relay()
    bench.take(device.enrollment(), device.envelope(observations=(track(4), car, reading_line)))
    with bench.store.database.reading() as connection:

        def found(sieve: Sieve) -> list[int | None]:
            return [line.class_id for line in reading.observations(connection, sieve, Window(10))]

        assert found(Sieve()) == [0, 2, None]
        assert found(Sieve(class_id=CAR)) == [2]
        assert found(Sieve(from_ms=START_MS + 4_000)) == [None]
        assert found(Sieve(to_ms=START_MS + 50)) == [0]
        assert found(Sieve(epoch=1, verdict=Verdict.ACCEPTED)) == [0, 2, None]
        assert found(Sieve(epoch=2)) == []
        assert found(Sieve(verdict=Verdict.REPLAY)) == []
        last = reading.observations(connection, Sieve(), Window(1, after=-1))
        assert last[0].position_udeg == (46_500_000, 6_600_000)
        values = [line.value for line in reading.observations(connection, Sieve(), Window(10))]
        assert values == [None, None, -3]


def test_every_kind_of_observation_is_found_by_kind_and_class(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment(), device.envelope(observations=ALL_KINDS))
    with bench.store.database.reading() as connection:

        def found(sieve: Sieve) -> list[reading.ObservationLine]:
            return reading.observations(connection, sieve, Window(10))

        assert [line.kind for line in found(Sieve())] == list(ObservationKind)
        for kind in ObservationKind:
            assert [line.kind for line in found(Sieve(kind=kind))] == [kind]
        assert [line.kind for line in found(Sieve(class_id=CAR))] == [ObservationKind.STAY]
        assert [line.kind for line in found(Sieve(class_id=0, kind=ObservationKind.CROSSING))] == [
            ObservationKind.CROSSING
        ]
        (crossing,), (stay,) = found(Sieve(kind=ObservationKind.CROSSING)), found(Sieve(kind=ObservationKind.STAY))
        assert (crossing.value, crossing.is_forward, crossing.first_ms) == (3, True, CROSSING.crossed_at_ms)
        assert (stay.value, stay.first_ms, stay.last_ms) == (1, STAY.entered_at_ms, STAY.left_at_ms)
        assert [line.flags for line in found(Sieve(kind=ObservationKind.READING))] == [ReadingFlag.STUCK]
        assert [(line.last_ms, line.record) for line in found(Sieve(kind=ObservationKind.HEALTH))] == [
            (HEALTH.measured_at_ms, encode_payload(HEALTH))
        ]
        (succession_line,) = found(Sieve(kind=ObservationKind.SUCCESSION))
        assert succession_line.value == 0  # it is another device's


def _condition(bench: IntakeBench, device: StoryDevice) -> reading.Condition:
    with bench.store.database.reading() as connection:
        found = reading.device(connection, device.keys.public_key.name)
    assert found is not None
    return found.condition


def test_a_device_is_shown_as_it_last_said_it_was_and_with_all_it_lost(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment(), device.envelope())
    assert _condition(bench, device) == reading.Condition()
    said = [device.envelope(observations=(GAP, _warm(degrees))) for degrees in (40, 60, 50)]
    bench.take(said[0], said[2])
    bench.take(said[1], said[2])  # late, and once more
    assert _condition(bench, device) == reading.Condition(_warm(50), 3, 12, 120)
    bench.take(device.envelope(beacon=NO_BEACON, observations=(GAP,)))  # stale: the device was in trouble
    bench.take(device.envelope(sequence=2, previous=bytes(31) + b"\x01", observations=(GAP, _warm(99))))  # a clone
    assert _condition(bench, device) == reading.Condition(_warm(50), 4, 16, 160)
    most = msgspec.structs.replace(GAP, observations=2**53 - 1)
    bench.take(*(device.envelope(observations=(most,) * 256) for _ in range(5)))
    assert _condition(bench, device).lost_observations == 2**53 - 1  # a sum that no database may choke on


def _warm(degrees: int) -> Health:
    return msgspec.structs.replace(HEALTH, soc_mdegc=degrees * 1_000)


def test_the_first_key_that_agreed_to_follow_is_the_successor(bench: IntakeBench) -> None:
    device, heir, thief = (StoryDevice(number) for number in (1, 2, 3))
    unwilling = Succession(thief.keys.public_key.key_id, bytes(64))
    bench.relay()
    bench.take(device.enrollment(), device.envelope(observations=(unwilling,)))
    assert _condition(bench, device).successor is None
    bench.take(device.envelope(observations=(succession(device.keys, heir.keys, NETWORK),)))
    bench.take(device.envelope(observations=(succession(device.keys, thief.keys, NETWORK),)))
    assert _condition(bench, device).successor == heir.keys.public_key.name
    with bench.store.database.reading() as connection:
        lines = reading.observations(connection, Sieve(kind=ObservationKind.SUCCESSION), Window(9))
    assert [line.value for line in lines] == [0, 1, 1]


def test_an_index_of_before_learns_the_new_words_without_losing_a_row(url: str) -> None:
    Database.open(url).close()
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", "hub.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "first_tables")
        connection.exec_driver_sql(
            "INSERT INTO observations (observation, kind, quantity, first_ms, last_ms, value) VALUES (1, 2, 1, 5, 5, 7)"
        )
    engine.dispose()
    again = Store.open(url)
    assert again.database.drift() == []
    assert again.rows("observations") == [(1, 2, None, 1, 5, 5, None, 7, None, None, None, None)]
    assert again.rows("conditions") == []
    again.database.close()


def test_a_clone_found_at_the_end_of_the_epoch_is_noted_on_its_first_envelope_too(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    first = device.envelope()
    bench.take(device.enrollment(), first)
    bench.take(device.envelope(sequence=1, previous=bytes(32)))
    bench.go_to_epoch(2)
    bench.close_epochs()
    with bench.store.database.reading() as connection:
        lines = reading.verdicts(connection, Sieve(device=device.keys.public_key.name), Window(10))
        row = epoch_row(connection, 1)
    assert [(line.at_the_door, line.verdict) for line in lines] == [
        (Verdict.ACCEPTED, Verdict.ACCEPTED),
        (Verdict.ACCEPTED, Verdict.EQUIVOCATION),
        (Verdict.EQUIVOCATION, Verdict.EQUIVOCATION),
    ]
    assert row is not None
    assert row.counts == {"accepted": 1, "equivocation": 2}
    assert (row.envelopes, row.observations) == (0, 0)


def test_every_published_block_is_found_by_its_digest(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment(), device.envelope())
    bench.go_to_epoch(2)
    bench.close_epochs()
    with bench.store.database.reading() as connection:
        row = epoch_row(connection, 1)
        assert row is not None
        for cid in (row.manifest, row.verdicts):
            place = reading.block_place(connection, cid.digest)
            assert place is not None
            assert place.file == "epoch-00000001"
        for digest in (_digest(entry) for entry in bench.store.rows("entries")):
            place = reading.block_place(connection, digest)
            assert place is not None
            assert place.file == "segment-00000001"
        assert reading.block_place(connection, Cid.of(b"never seen").digest) is None


def _place(digest: bytes) -> BlockPlace:
    return BlockPlace(digest, "segment-00000001", 0, 1)


def _digest(row: tuple[object, ...]) -> bytes:
    digest = row[1]
    assert isinstance(digest, bytes)
    return digest
