"""Evidence: what a hub publishes counts only where signatures, its own log and its verdicts say the same."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from protocol.car import car_header, car_section, read_car
from protocol.cid import Cid
from protocol.envelope import block_digest
from protocol.identity import KeyPair
from protocol.manifest import EpochManifest, VerdictRow, verdict_pages, verdict_rows
from protocol.units import UnixMs
from protocol.verdict import Verdict
from rewards.domain.errors import EvidenceError
from rewards.domain.evidence import Enrolled, EpochEvidence, EvidenceReader, latest_enrollments
from tests.support.own_words import CROSSING, OWN_WORDS, STAY, SUCCESSION
from tests.support.reward_story import Device, Publisher

ALICE, BOB = b"\xa1" * 20, b"\xb0" * 20


@pytest.fixture
def hub() -> Publisher:
    return Publisher(started_at_ms=1_800_000_000_000)


@pytest.fixture
def device() -> Device:
    return Device(1, ALICE)


def _rows(hub: Publisher, manifest: EpochManifest) -> list[VerdictRow]:
    _, pages = verdict_pages(hub.blocks[manifest.verdicts])
    return [row for page in pages for row in verdict_rows(hub.blocks[page])]


def _read(hub: Publisher, manifest: EpochManifest, *, cars: Sequence[bytes] | None = None) -> EpochEvidence:
    reader = EvidenceReader(manifest, _rows(hub, manifest))
    for car in cars if cars is not None else [hub.pieces[ref.piece] for ref in manifest.segments]:
        reader.read_segment(io.BytesIO(car))
    return reader.finish()


def _rebuild(car: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Change the blocks of a segment and write a well-formed CAR of them."""
    blocks = change([found.block for found in read_car(io.BytesIO(car))])
    body = b"".join(car_section(Cid.of(block), block) for block in blocks)
    return car_header(Cid.of(blocks[0])) + body


def _start(hub: Publisher) -> int:
    return hub.interval(1)[0]


def test_accepted_envelopes_and_enrollments_come_out_as_they_were_signed(hub: Publisher, device: Device) -> None:
    enrollment = device.enroll(_start(hub))
    blocks = [enrollment, device.watch([_start(hub), _start(hub) + 5]), device.watch([])]
    evidence = _read(hub, hub.publish(blocks, batches=2))
    assert [envelope.sequence for envelope in sorted(evidence.envelopes, key=lambda one: one.sequence)] == [1, 2]
    assert max(evidence.envelopes, key=lambda one: len(one.observed_at_ms)).observed_at_ms == (
        _start(hub),
        _start(hub) + 5,
    )
    assert evidence.enrollments == (
        Enrolled(device.keys.public_key, ALICE, UnixMs(_start(hub)), block_digest(enrollment)),
    )


def test_what_a_device_says_of_itself_is_evidence_for_nothing(hub: Publisher, device: Device) -> None:
    own_words = (CROSSING, STAY, *OWN_WORDS, SUCCESSION)
    blocks = [device.watch([_start(hub)], also=own_words), device.watch([], also=own_words)]
    evidence = _read(hub, hub.publish(blocks))
    assert sorted(envelope.observed_at_ms for envelope in evidence.envelopes) == [(), (_start(hub),)]


def test_a_hub_that_counts_more_than_may_be_paid_is_not_believed(hub: Publisher, device: Device) -> None:
    hub.forge_rows = lambda rows: [replace(row, observations=row.observations + len(OWN_WORDS)) for row in rows]
    with pytest.raises(EvidenceError, match=r"3 observations that may be paid, .* sequence 1 with 1"):
        _read(hub, hub.publish([device.watch([_start(hub)], also=OWN_WORDS)]))


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.ACCEPTED])
def test_no_other_verdict_is_evidence_for_pay(hub: Publisher, device: Device, verdict: Verdict) -> None:
    block = device.watch([_start(hub)])
    assert _read(hub, hub.publish([block], {block_digest(block): verdict})).envelopes == ()


def test_any_flipped_byte_of_a_segment_is_noticed(hub: Publisher, device: Device) -> None:
    manifest = hub.publish([device.enroll(_start(hub)), device.watch([_start(hub)])])
    car = hub.pieces[manifest.segments[0].piece]
    for at in range(len(car)):
        spoilt = bytearray(car)
        spoilt[at] ^= 0x55
        with pytest.raises(EvidenceError):
            _read(hub, manifest, cars=[bytes(spoilt)])


def test_any_cut_of_a_segment_is_noticed(hub: Publisher, device: Device) -> None:
    manifest = hub.publish([device.watch([_start(hub)])])
    car = hub.pieces[manifest.segments[0].piece]
    for length in range(len(car)):
        with pytest.raises(EvidenceError):
            _read(hub, manifest, cars=[car[:length]])


@pytest.mark.parametrize("at", range(5), ids=["header", "first", "intake", "seal", "none"])
def test_a_block_left_out_of_a_segment_is_noticed(hub: Publisher, device: Device, at: int) -> None:
    manifest = hub.publish([device.watch([_start(hub)])])
    car = hub.pieces[manifest.segments[0].piece]
    changed = _rebuild(car, lambda blocks: blocks[:at] + blocks[at + 1 :])
    if at == 4:
        assert _read(hub, manifest, cars=[changed]).envelopes
        return
    with pytest.raises(EvidenceError):
        _read(hub, manifest, cars=[changed])


def test_a_block_put_in_twice_is_noticed(hub: Publisher, device: Device) -> None:
    manifest = hub.publish([device.watch([_start(hub)])])
    car = hub.pieces[manifest.segments[0].piece]
    with pytest.raises(EvidenceError, match="stands twice"):
        _read(hub, manifest, cars=[_rebuild(car, lambda blocks: [blocks[0], blocks[1], *blocks[1:]])])


def test_a_segment_of_another_hub_is_not_evidence(hub: Publisher, device: Device) -> None:
    other = Publisher(hub.started_at_ms, hub=KeyPair(hashlib.sha256(b"another hub").digest()))
    block = device.watch([_start(hub)])
    manifest = hub.publish([block])
    foreign = other.publish([block])
    with pytest.raises(EvidenceError, match="not by the epoch's hub"):
        _read(hub, manifest, cars=[other.pieces[foreign.segments[0].piece]])


def test_a_segment_of_another_epoch_is_not_evidence(hub: Publisher, device: Device) -> None:
    first = hub.publish([device.watch([_start(hub)])])
    second = hub.publish([])
    with pytest.raises(EvidenceError, match="a segment of epoch 1 is listed under epoch 2"):
        _read(hub, second, cars=[hub.pieces[first.segments[0].piece]])


def test_segments_in_the_wrong_order_are_noticed(hub: Publisher, device: Device) -> None:
    manifest = hub.publish([device.watch([_start(hub)])])
    twin = replace(manifest, segments=manifest.segments * 2)
    with pytest.raises(EvidenceError, match="the hub's log has a gap"):
        _read(hub, twin)


def test_a_block_for_another_network_is_not_accepted_whatever_the_verdict_says(hub: Publisher, device: Device) -> None:
    with pytest.raises(EvidenceError, match="a block of network 'elsewhere' is accepted in network 'bottle'"):
        _read(hub, hub.publish([device.enroll(_start(hub), network="elsewhere")]))


def test_one_sequence_accepted_twice_is_noticed(hub: Publisher, device: Device) -> None:
    clone = Device(1, ALICE)
    blocks = [device.watch([_start(hub)]), clone.watch([_start(hub) + 1])]
    with pytest.raises(EvidenceError, match="are accepted under sequence 1"):
        _read(hub, hub.publish(blocks))


def test_one_block_accepted_in_two_rows_is_noticed(hub: Publisher, device: Device) -> None:
    hub.forge_rows = lambda rows: [*rows, *rows]
    with pytest.raises(EvidenceError, match="is accepted twice"):
        _read(hub, hub.publish([device.watch([_start(hub)])]))


def test_a_receipt_time_other_than_the_hubs_log_says_is_noticed(hub: Publisher, device: Device) -> None:
    hub.forge_rows = lambda rows: [replace(row, received_at_ms=UnixMs(row.received_at_ms - 1)) for row in rows]
    with pytest.raises(EvidenceError, match="the hub's log says otherwise"):
        _read(hub, hub.publish([device.watch([_start(hub)])]))


def test_the_latest_enrollment_holds_whatever_the_order(device: Device) -> None:
    key = device.keys.public_key
    old = Enrolled(key, ALICE, UnixMs(1), b"\x09" * 32)
    new = Enrolled(key, BOB, UnixMs(2), b"\x01" * 32)
    twin = Enrolled(key, ALICE, UnixMs(2), b"\x02" * 32)
    assert latest_enrollments([old], [new])[key] is new
    assert latest_enrollments([new], [old])[key] is new
    assert latest_enrollments([], [new, twin, old])[key] is latest_enrollments([twin], [old, new])[key] is twin
