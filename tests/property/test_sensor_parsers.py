"""Any bytes at all: no parser fails or says what cannot be, and what is written well is read back."""

from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge.sensors.fix import EARLIEST_MS, Fix
from edge.sensors.gpsd import GpsdListener
from edge.sensors.nmea import NmeaListener, parse_sentence
from edge.sensors.particles import pms_listener, sds011_listener
from edge.sensors.quantities import checked
from edge.sensors.sensor import SensorAddress, SensorError
from edge.sensors.stream import Listener
from protocol.observation import Reading
from protocol.units import UnixMs
from tests.support.sensor_story import (
    NOW_MS,
    SKY,
    TPV,
    burst,
    json_line,
    no_fix_burst,
    pms_frame,
    sds011_frame,
    sealed,
)

LISTENERS: list[Callable[[], Listener]] = [NmeaListener, GpsdListener, pms_listener, sds011_listener]
GOOD_WORDS = [burst(), no_fix_burst(), pms_frame(1, 2, 3), sds011_frame(4, 5), json_line(TPV), json_line(SKY)]

fields = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="*$"), max_size=12)
odd_numbers = st.sampled_from(
    ["", "A", "V", "N", "S", "E", "W", "3", "-1", "999999", "5231.2005", "120000", "1e9", "."]
)
bodies = st.builds(
    lambda talker, kind, words: f"{talker}{kind}," + ",".join(words),
    st.sampled_from(["GP", "GN", "GL"]),
    st.sampled_from(["RMC", "GGA", "GNS", "GSA"]),
    st.lists(fields | odd_numbers, max_size=18),
)
json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
gpsd_words = st.dictionaries(st.sampled_from([*TPV, *SKY, "alt"]), json_values).map(
    lambda changed: json_line({**TPV, **changed})
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Good words, sealed nonsense and noise, cut anywhere."""
    pieces = st.sampled_from(GOOD_WORDS) | bodies.map(sealed) | gpsd_words | st.binary(max_size=60)
    stream = b"".join(draw(st.lists(pieces, max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def believe(measurement: Reading | Fix) -> None:
    """Fail unless it is in range: decoding checks every bound that its type states."""
    if isinstance(measurement, Fix):
        assert msgspec.json.decode(msgspec.json.encode(measurement), type=Fix) == measurement
        assert measurement.time_ms is None or measurement.time_ms >= EARLIEST_MS
    else:
        assert msgspec.json.decode(msgspec.json.encode(measurement), type=Reading) == measurement
        checked(measurement, name="x")


@given(chunks=streams(), choice=st.sampled_from(LISTENERS))
def test_no_bytes_whatever_make_a_parser_fail_or_say_what_cannot_be(
    chunks: list[bytes], choice: Callable[[], Listener]
) -> None:
    listener = choice()
    for index, chunk in enumerate(chunks):
        at_ms = UnixMs(NOW_MS + index)
        for measured in [*listener.feed(chunk, at_ms=at_ms), *listener.pause(at_ms=at_ms)]:
            assert measured
            for each in measured:
                believe(each)
    assert listener.complaint()
    listener.forget()


@given(chunks=streams(), choice=st.sampled_from(LISTENERS))
def test_it_does_not_matter_where_a_stream_is_cut(chunks: list[bytes], choice: Callable[[], Listener]) -> None:
    whole, cut = choice(), choice()
    expected = whole.feed(b"".join(chunks), at_ms=NOW_MS)
    assert [each for chunk in chunks for each in cut.feed(chunk, at_ms=NOW_MS)] == expected


@given(noise=st.binary(max_size=80).filter(lambda noise: b"\x42\x4d" not in noise and not noise.endswith(b"\x42")))
def test_noise_before_a_frame_does_not_hide_it(noise: bytes) -> None:
    assert len(pms_listener().feed(noise + pms_frame(1, 2, 3), at_ms=NOW_MS)) == 1


@given(
    lat_udeg=st.integers(-90_000_000, 90_000_000),
    lon_udeg=st.integers(-180_000_000, 180_000_000),
    day_s=st.integers(0, 86_399),
)
def test_a_place_that_is_written_exactly_is_read_exactly(lat_udeg: int, lon_udeg: int, day_s: int) -> None:
    listener = NmeaListener()
    time = f"{day_s // 3600:02}{day_s // 60 % 60:02}{day_s % 60:02}.00"
    assert listener.feed(burst(time, date="010127", lat=lat_udeg, lon=lon_udeg), at_ms=NOW_MS) == []
    ((fix,),) = listener.pause(at_ms=NOW_MS)
    if (lat_udeg, lon_udeg) == (0, 0):
        assert fix.dimension == 0
        return
    assert isinstance(fix, Fix)
    assert (fix.lat_udeg, fix.lon_udeg) == (lat_udeg, lon_udeg)
    assert fix.time_ms == 1_798_761_600_000 + day_s * 1_000


@given(body=bodies, bit=st.integers(0, 7), place=st.integers(0, 10_000))
def test_a_sentence_is_read_back_and_one_flipped_bit_is_noticed(body: str, bit: int, place: int) -> None:
    line = sealed(body).strip()
    sentence = parse_sentence(line)
    assert sentence is not None
    assert f"{sentence.talker}{sentence.kind},{','.join(sentence.fields)}" == body
    index = 1 + place % len(body)  # between the dollar and the star
    flipped = bytes([*line[:index], line[index] ^ 1 << bit, *line[index + 1 :]])
    assert parse_sentence(flipped) is None


@given(word=st.text(max_size=60) | st.from_regex(r"[a-z]{1,5}:[^\s@]{0,9}(@[0-9]{1,8})?", fullmatch=True))
def test_any_word_is_a_sensor_s_or_a_sentence(word: str) -> None:
    try:
        address = SensorAddress.parse(word)
    except SensorError:
        return
    assert word in {str(address), f"{address}@{word.rpartition('@')[2]}"}
