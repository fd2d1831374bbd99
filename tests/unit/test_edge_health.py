"""The record of health: counters and one look at the machine in, a valid observation out."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.care.health import GnssWord, KeepingWord, Moment, SeeingWord, gather, provider_of
from edge.care.host import Host, HostWord
from protocol.observation import ClockSource, Health, Provider
from protocol.units import UnixMs
from tests.support.edge_machine import ADRIFT, BARE, IN_STEP, JETSON, PI, machine

QUIET = HostWord(None, None, None, None, None, rss_kib=0)
START = Moment(at_ms=UnixMs(1_800_000_000_000), monotonic_ms=5_000, started_monotonic_ms=5_000, host=QUIET)
BUSY = Moment(
    at_ms=UnixMs(1_800_000_600_000),
    monotonic_ms=605_000,
    started_monotonic_ms=5_000,
    host=HostWord(71_250, 0x50000, 12_000, 300_000, IN_STEP, rss_kib=118_000),
    seeing=SeeingWord(
        captured_frames=9_000,
        analysed_frames=6_000,
        inferred_frames=1_500,
        skipped_frames=3_000,
        inference_p50_us=10_050,
        inference_p95_us=10_095,
        provider="CPUExecutionProvider",
        camera_restarts=2,
        vision_restarts=1,
        debug_pictures=3,
    ),
    keeping=KeepingWord(
        outbox_envelopes=7,
        outbox_bytes=4_200,
        outbox_oldest_ms=61_999,
        dropped_envelopes=1,
        dropped_observations=64,
        disk_writes=200,
        sensor_failures=4,
    ),
    gnss=GnssWord(fix=3, satellites=11, hdop_milli=900),
    clock_offset_ms=-42,
    clock_steps=1,
)


def is_valid(record: Health) -> bool:
    """Whether a stranger who decodes it strictly finds what was meant."""
    return msgspec.convert(msgspec.to_builtins(record), Health) == record


def test_every_field_is_what_its_name_says() -> None:
    assert gather(BUSY, START) == Health(
        measured_at_ms=UnixMs(1_800_000_600_000),
        uptime_s=600,
        captured_mfps=15_000,
        analysed_mfps=10_000,
        skipped_frames=3_000,
        inference_p50_us=10_050,
        inference_p95_us=10_095,
        inferred_ppm=250_000,
        provider=Provider.CPU,
        camera_restarts=2,
        vision_restarts=1,
        sensor_failures=4,
        outbox_envelopes=7,
        outbox_bytes=4_200,
        outbox_oldest_s=61,
        dropped_envelopes=1,
        dropped_observations=64,
        disk_writes_per_h=1_200,
        disk_free_mib=12_000,
        disk_wear_ppm=300_000,
        soc_mdegc=71_250,
        throttled_bits=0x50000,
        clock_source=ClockSource.NTP,
        clock_offset_ms=-42,
        clock_steps=1,
        gnss_fix=3,
        gnss_satellites=11,
        gnss_hdop_milli=900,
        rss_kib=118_000,
        debug_pictures=3,
    )
    assert is_valid(gather(BUSY, START))


def test_rates_are_those_since_the_last_record_and_counters_those_since_the_start() -> None:
    later = replace(
        BUSY,
        monotonic_ms=BUSY.monotonic_ms + 60_000,
        seeing=replace(BUSY.seeing, captured_frames=9_600, analysed_frames=6_060, inferred_frames=1_560),
        keeping=replace(BUSY.keeping, disk_writes=202),
    )
    record = gather(later, BUSY)
    assert (record.captured_mfps, record.analysed_mfps, record.inferred_ppm) == (10_000, 1_000, 1_000_000)
    assert (record.disk_writes_per_h, record.uptime_s, record.skipped_frames) == (120, 660, 3_000)


def test_a_vision_process_that_began_anew_gives_no_negative_rate() -> None:
    restarted = replace(BUSY, monotonic_ms=BUSY.monotonic_ms + 60_000, seeing=SeeingWord(captured_frames=60))
    assert gather(restarted, BUSY).captured_mfps == 1_000


def test_the_first_record_of_a_device_with_sensors_only_is_empty_and_valid() -> None:
    record = gather(START, None)
    assert is_valid(record)
    assert (record.captured_mfps, record.inference_p95_us, record.provider) == (0, 0, Provider.NONE)
    assert (record.soc_mdegc, record.disk_wear_ppm, record.gnss_fix, record.clock_source) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("files", "clock", "soc_mdegc", "bits", "wear_ppm"),
    [(PI, IN_STEP, 48_312, 0, None), (JETSON, ADRIFT, 53_500, 0, 300_000), (BARE, None, None, None, None)],
    ids=["pi", "jetson", "bare"],
)
def test_a_record_holds_what_the_machine_can_tell_and_no_more(
    tmp_path: Path, files: dict[str, str], clock: object, soc_mdegc: int | None, bits: int | None, wear_ppm: int | None
) -> None:
    host = Host(machine(tmp_path / "machine", files), ask_kernel_clock=lambda: clock)  # type: ignore[arg-type,return-value]
    record = gather(replace(START, host=host.word(tmp_path, pids=())), None)
    assert is_valid(record)
    assert (record.soc_mdegc, record.throttled_bits, record.disk_wear_ppm) == (soc_mdegc, bits, wear_ppm)


def test_what_is_impossible_is_not_passed_on() -> None:
    host = HostWord(-300_000, 1 << 40, -5, 99_000_000, None, rss_kib=-1)
    odd = replace(START, host=host, gnss=GnssWord(fix=9, satellites=400, hdop_milli=2_000_000), clock_steps=-1)
    record = gather(odd, None)
    assert is_valid(record)
    assert (record.soc_mdegc, record.throttled_bits, record.disk_wear_ppm) == (None, None, None)
    assert (record.gnss_fix, record.gnss_satellites, record.gnss_hdop_milli) == (None, None, None)
    assert (record.disk_free_mib, record.rss_kib, record.clock_steps) == (0, 0, 0)


def test_providers_by_their_own_names() -> None:
    assert provider_of("") is Provider.NONE
    assert provider_of("TensorrtExecutionProvider") is Provider.TENSORRT
    assert provider_of("AzureExecutionProvider") is Provider.OTHER
