"""Settings: closed, typed, overridable, and every mistake is a sentence that names it."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from edge.care.thermal import ThermalLimits
from edge.owning.setup import SetupError, scaled, set_up, toml_text
from edge.sensors.messages import SensingOrder
from edge.settings import SETTINGS_FILE, EdgeSettings, SettingsError, load_settings, settings_of
from tests.support.edge_story import NETWORK, OWNER, key_pair

HUB = key_pair("hub").public_key
TABLES: dict[str, object] = {
    "network": NETWORK,
    "hub": HUB.did,
    "owner": OWNER,
    "broker": {"host": "127.0.0.1"},
    "position": {"lat_udeg": 1, "lon_udeg": -2},
}


def settings(changed: dict[str, object] | None = None, **environment: str) -> EdgeSettings:
    return settings_of({**TABLES, **(changed or {})}, environment, origin="cairn.toml")


def test_what_is_not_said_has_its_default() -> None:
    plain = settings()
    assert (plain.broker.port, plain.position.grid_udeg, plain.batch.max_observations) == (1883, 1_000, 64)
    assert plain.hub_key() == HUB
    assert plain.owner_address() == bytes.fromhex("ab" * 20)


def test_lines_zones_and_masks_are_told_in_thousandths_of_the_frame() -> None:
    text = """
    [camera]
    gate = "off"
    max_fps = 7.5
    [[camera.lines]]
    name = "gate to the yard"
    from = [0, 500]
    to = [1000, 500]
    [[camera.zones]]
    polygon = [[100, 100], [900, 100], [500, 900]]
    [privacy]
    masks = [[[0, 0], [200, 0], [200, 1000], [0, 1000]]]
    """
    told = settings(tomllib.loads(text))
    assert (told.camera.gate, told.camera.max_fps) == ("off", 7.5)
    assert (told.camera.lines[0].begin, told.camera.lines[0].end) == ((0, 500), (1000, 500))
    assert told.camera.zones[0].polygon[2] == (500, 900)
    assert told.privacy.masks[0][2] == (200, 1000)
    assert msgspec.json.decode(msgspec.json.encode(told), type=EdgeSettings) == told  # it travels between processes


def test_the_gate_is_on_and_nothing_is_masked_where_nothing_is_said() -> None:
    told = settings()
    assert (told.camera.gate, told.camera.max_fps, told.camera.lines, told.privacy.masks) == ("auto", 0.0, (), ())


def test_the_environment_overrides_the_file() -> None:
    told = settings(
        {"camera": {"source": "webcam:0"}},
        CAIRN_EDGE_NETWORK="other",
        CAIRN_EDGE_BROKER_PORT="1884",
        CAIRN_EDGE_CAMERA_FOLDER_FPS="2.5",
        CAIRN_EDGE_MODEL_CLASSES="person, car",
        CAIRN_EDGE_SENSORS_SOURCES="",
        CAIRN_EDGE_DIR="/somewhere",
        PATH="/bin",
    )
    assert (told.network, told.broker.port, told.camera.folder_fps) == ("other", 1884, 2.5)
    assert (told.camera.source, told.model.classes, told.sensors.sources) == ("webcam:0", ("person", "car"), ())


def test_sensors_and_gnss_can_be_set_and_overridden() -> None:
    told = settings(
        {"sensors": {"sources": ["hwmon:sht3x/temp1", "sds011:/dev/ttyUSB1@300000"], "period_ms": 30_000}},
        CAIRN_EDGE_POSITION_SOURCE="gnss",
        CAIRN_EDGE_POSITION_GNSS_HOLD_S="60",
    )
    assert told.sensors.order(seed=7) == SensingOrder(sources=told.sensors.sources, period_ms=30_000, seed=7)
    rules = told.position.rules()
    assert (rules.follows_gnss, rules.hold_ms, rules.configured.lat_udeg) == (True, 60_000, 1)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"hub": "did:key:z6Mk"}, "hub"),
        ({"owner": "0x12"}, "owner"),
        ({"network": "UPPER"}, "network"),
        ({"netwrok": "x"}, "netwrok"),
        ({"broker": {"host": "h", "prot": 1}}, "prot"),
        ({"broker": {"host": "h", "port": 0}}, "port"),
        ({"broker": {"host": "h", "port": "1883"}}, "port"),
        ({"broker": {}}, "host"),
        ({"position": {"lat_udeg": 90_000_001, "lon_udeg": 0}}, "lat_udeg"),
        ({"position": {"lat_udeg": 1.5, "lon_udeg": 0}}, "lat_udeg"),
        ({"batch": {"max_observations": 257}}, "max_observations"),
        ({"outbox": {"max_bytes": 10}}, "max_bytes"),
        ({"model": {"publishers": ["did:key:z6Mk"]}}, "publishers"),
        ({"model": {"publishers": [HUB.did], "signatures_required": 2}}, "signatures_required = 2"),
        ({"model": {"signatures_required": 0}}, "signatures_required"),
        ({"sensors": {"sources": ["thermometer"]}}, "sensors.sources: 'thermometer' is no sensor"),
        ({"sensors": {"sources": ["gpsd:", "gpsd:@5000"]}}, "gpsd: stands there twice"),
        ({"sensors": {"sources": ["gpsd:@10"]}}, "period of 10 ms"),
        ({"position": {"lat_udeg": 0, "lon_udeg": 0, "source": "gps"}}, "source"),
        ({"position": {"lat_udeg": 0, "lon_udeg": 0, "gnss_min_dimension": 1}}, "gnss_min_dimension"),
        ({"camera": {"gate": "maybe"}}, "gate"),
        ({"camera": {"max_fps": -1}}, "max_fps"),
        ({"camera": {"lines": [{"from": [0, 0], "to": [0, 0]}]}}, "begins and ends"),
        ({"camera": {"lines": [{"from": [0, 0], "to": [0, 1_001]}]}}, r"lines\[0\].to"),
        ({"camera": {"lines": [{"from": [0, 0]}]}}, "to"),
        ({"camera": {"lines": [{"from": [0, 0], "to": [9, 9]}] * 33}}, "lines"),
        ({"camera": {"zones": [{"polygon": [[0, 0], [9, 9]]}]}}, "polygon"),
        ({"camera": {"zones": [{"name": "door", "polygon": [[0, 0], [9, 9], [18, 18]]}]}}, "door encloses nothing"),
        ({"privacy": {"masks": [[[0, 0], [9, 9], [9, 0], [0, 9]]]}}, "mask 1 crosses itself"),
        ({"privacy": {"masks": [[[0, 0], [9, 0], [9, -1]]]}}, "masks"),
        ({"privacy": {"masks": "everything"}}, "masks"),
        ({"privacy": {"mask": []}}, "mask"),
    ],
)
def test_a_mistake_in_the_file_is_named(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        settings(changed)
    assert str(caught.value).startswith("cairn.toml")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("CAIRN_EDGE_BROKER_PROT", "1", "unknown settings.*CAIRN_EDGE_BROKER_PROT"),
        ("CAIRN_EDGE_PORT", "1", "CAIRN_EDGE_PORT"),
        ("CAIRN_EDGE_BROKER_PORT", "many", "CAIRN_EDGE_.*port"),
        ("CAIRN_EDGE_OWNER", "me", "owner"),
    ],
)
def test_a_mistake_in_the_environment_is_named(name: str, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        settings_of(TABLES, {name: text}, origin="cairn.toml")


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cairn-edge init"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize("content", [b"network = ", b"\xff\xfe", b"[broker]\n[broker]\n"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SETTINGS_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})


def test_what_init_writes_reads_back_as_it_was_meant(tmp_path: Path) -> None:
    strange = 'rtsp://u:p@host/"quoted" \\ back\tslash é 😀'
    tables = {**TABLES, "camera": {"source": strange}, "model": {"name": "m", "classes": ["person", "car"]}}
    (tmp_path / SETTINGS_FILE).write_text(toml_text(tables, header="one\ntwo"), encoding="utf-8")
    read = load_settings(tmp_path, {})
    assert read == settings_of(tables, {}, origin="here")
    assert read.camera.source == strange


def test_degrees_become_micro_degrees_exactly() -> None:
    assert scaled("52.520008", by=1_000_000, name="--lat") == 52_520_008
    assert scaled("-0.0000014", by=1_000_000, name="--lat") == -1


@pytest.mark.parametrize("text", ["1e999999999", "-1e999999", "1e5000000", "inf", "nan", "north"])
def test_a_number_that_is_none_of_this_world_is_a_mistake(text: str) -> None:
    with pytest.raises(SetupError, match="--lat must be a decimal number"):
        scaled(text, by=1_000_000, name="--lat")


def test_a_refused_set_up_leaves_nothing_that_looks_like_a_device(tmp_path: Path) -> None:
    names = {"key_name": "device.key", "sequence_name": "sequence.json", "settings_name": SETTINGS_FILE}
    unwritable = toml_text({**TABLES, "camera": {"source": "bad\udcff.mp4"}}, header="one")
    with pytest.raises(SetupError, match="not UTF-8"):
        set_up(tmp_path, unwritable, **names)
    assert not (tmp_path / SETTINGS_FILE).exists()
    set_up(tmp_path, toml_text(TABLES, header="one"), **names)
    assert load_settings(tmp_path, {}) == settings()


OTHER_HUB = key_pair("other hub").public_key


def test_more_hubs_are_tables_of_their_own() -> None:
    told = settings(
        {
            "more_hubs": [{"key": OTHER_HUB.did, "host": "hub.example", "port": 1884}],
            "uplink": {"receipts_required": 2},
        }
    )
    (more,) = told.more_hubs
    assert (more.public_key(), more.host, more.port) == (OTHER_HUB, "hub.example", 1884)
    assert told.uplink.receipts_required == 2
    assert settings().more_hubs == ()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"uplink": {"receipts_required": 2}}, "there are 1 hubs"),
        ({"more_hubs": [{"key": HUB.did, "host": "x"}]}, "each hub once"),
        ({"more_hubs": [{"key": OTHER_HUB.did, "host": "127.0.0.1"}]}, "two hubs on one broker"),
        ({"more_hubs": [{"key": "did:key:zNo", "host": "x"}]}, "copy it from the operator"),
        ({"more_hubs": [{"key": OTHER_HUB.did, "hots": "x"}]}, "hots|host"),
        ({"outbox": {"max_age_h": 0}}, "max_age_h"),
        ({"outbox": {"max_bytes": 1}}, "max_bytes"),
    ],
)
def test_hubs_and_limits_that_cannot_be_are_a_sentence(changed: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(changed)


@pytest.mark.parametrize(
    ("care", "complaint"),
    [
        ({"warm_mdegc": 90_000}, "must rise"),
        ({"least_mfps": 20_000, "full_mfps": 10_000}, "least_mfps"),
        ({"relax_after_ms": 1_000}, "tighten_after_ms"),
        ({"critical_mdegc": 200_000}, "critical_mdegc"),
        ({"warm": 70_000}, "warm"),
    ],
)
def test_care_that_contradicts_itself_stops_the_start(care: dict[str, int], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        settings_of({**TABLES, "care": care}, {}, origin="here")


def test_care_becomes_the_limits_of_the_thermal_governor() -> None:
    told = settings_of({**TABLES, "care": {"warm_mdegc": 65_000, "least_mfps": 500}}, {}, origin="here")
    limits = told.thermal_limits()
    assert (limits.warm_mdegc, limits.least_mfps, limits.hot_mdegc) == (65_000, 500, 82_000)
    assert settings_of(TABLES, {}, origin="here").thermal_limits() == ThermalLimits()


def test_the_status_page_is_for_this_machine_and_the_first_day() -> None:
    page = settings_of(TABLES, {}, origin="here").status_page
    assert (page.host, page.on) == ("127.0.0.1", "until_adopted")
    told = settings_of(TABLES, {"CAIRN_EDGE_STATUS_PAGE_ON": "never"}, origin="here")
    assert told.status_page.on == "never"
    with pytest.raises(SettingsError, match="status_page"):
        settings_of({**TABLES, "status_page": {"on": "sometimes"}}, {}, origin="here")
