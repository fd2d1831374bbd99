"""The model store on the real model: added by path, downloaded over loopback, and refused when anything differs."""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from edge.cli import main
from edge.detector.detection import ModelError
from edge.detector.manifest import load_manifest
from edge.detector.model import ModelDetector
from edge.detector.selftest import selftest
from edge.models.download import Wanted, check_url, download
from edge.models.opening import open_model
from edge.models.own import sign_own_again
from edge.models.rollout import probation_passed, rolled_back
from edge.models.shipped import SHIPPED_FOLDER
from edge.models.store import ModelStore
from edge.models.trust import Origin, Trust
from protocol.units import UnixMs
from tests.support.edge_story import make_device
from tests.support.model_story import ANNA, BEN, BOTH, DEVICE, NOW_MS, STRANGER, lay_out, manifest
from tests.support.model_story import PICTURE as DOOR_PICTURE

MODEL = "yolox_nano_416.onnx"
PICTURE = "yolox-nano-selftest.png"


@pytest.fixture(scope="module")
def model(assets: Path) -> bytes:
    return (assets / MODEL).read_bytes()


class Shelf(BaseHTTPRequestHandler):
    """Serves ``content``, in the manner that the path names."""

    content = b""
    asked_from: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        if self.path in {"/part", "/other-part"} and "Range" in self.headers:
            first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.asked_from.append(first)
            told = first if self.path == "/part" else first + 1  # not what was asked for
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {told}-{len(self.content) - 1}/{len(self.content)}")
            self.send_header("Content-Length", str(len(self.content) - told))
            self.end_headers()
            self.wfile.write(self.content[told:])
            return
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/model.onnx")
            self.end_headers()
            return
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        try:
            self.wfile.write(self.content[:100_000] if self.path == "/short" else self.content)
        except OSError:
            return  # the reader has heard enough

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def shelf(model: bytes) -> Iterator[str]:
    Shelf.content = model
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def catalogue_with(folder: Path, model: bytes, source: str, **changes: str) -> Path:
    """Write a catalogue whose yolox-nano is ``model`` at ``source``."""
    catalogue = folder / "catalogue"
    catalogue.mkdir()
    shutil.copy(SHIPPED_FOLDER / PICTURE, catalogue)
    text = (SHIPPED_FOLDER / "yolox-nano.toml").read_text()
    fields = {
        "sha256": f'"{hashlib.sha256(model).hexdigest()}"',
        "size_bytes": str(len(model)),
        "source": f'"{source}"',
    } | changes
    for key, value in fields.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    (catalogue / "yolox-nano.toml").write_text(text)
    return catalogue


def store_with(folder: Path, catalogue: Path = SHIPPED_FOLDER) -> ModelStore:
    trust = Trust(BOTH.publishers, BOTH.required, DEVICE.public_key, catalogue)
    return ModelStore(folder / "store", trust=trust)


def visible(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*"))


def test_a_model_by_name_is_downloaded_checked_and_ready(tmp_path: Path, model: bytes, shelf: str) -> None:
    store = store_with(tmp_path, catalogue_with(tmp_path, model, f"{shelf}/model.onnx"))
    assert store.versions.state().kept == ()
    progress: list[tuple[int, int]] = []
    stored = store.add("yolox-nano", now_ms=NOW_MS, report=lambda so_far, in_all: progress.append((so_far, in_all)))
    assert progress[-1] == (len(model), len(model))
    assert stored.path.read_bytes() == model
    assert store.versions.path_named("yolox-nano") == stored.path
    assert [each.name for each in store.versions.state().kept] == ["yolox-nano"]
    assert stored.origin is Origin.SHIPPED
    assert store.test("yolox-nano").is_official
    assert store.add("yolox-nano", now_ms=NOW_MS).path == stored.path  # again is once
    assert [each.name for each in (tmp_path / "store" / "yolox-nano").iterdir()] == [stored.path.parent.name]
    assert [each.name for each in visible(tmp_path / "store")] == ["state.json", "yolox-nano"]


@pytest.mark.parametrize(
    ("path", "changes", "complaint"),
    [
        ("/model.onnx", {"sha256": '"' + "0" * 64 + '"'}, "SHA-256"),
        ("/model.onnx", {"size_bytes": "1000"}, "more than 1000 bytes"),
        ("/model.onnx", {"size_bytes": "99999999"}, "99999999 were expected"),
        ("/short", {}, "Cannot download|were expected"),
        ("/none", {}, "404"),
        ("/away", {}, "https only"),
    ],
)
def test_a_download_that_is_not_the_pinned_file_leaves_nothing(
    tmp_path: Path, model: bytes, shelf: str, path: str, changes: dict[str, str], complaint: str
) -> None:
    store = store_with(tmp_path, catalogue_with(tmp_path, model, shelf + path, **changes))
    with pytest.raises(ModelError, match=complaint):
        store.add("yolox-nano", now_ms=NOW_MS)
    assert list((tmp_path / "store").rglob("*")) == []


@pytest.mark.parametrize("source", ["http://192.0.2.1/m", "ftp://127.0.0.1/m", "file:///etc/passwd", "nonsense", ""])
def test_only_https_or_this_machine_is_asked(tmp_path: Path, model: bytes, source: str) -> None:
    store = store_with(tmp_path, catalogue_with(tmp_path, model, source))
    with pytest.raises(ModelError, match="https"):
        store.add("yolox-nano", now_ms=NOW_MS)


def test_a_dead_address_is_one_sentence(tmp_path: Path, model: bytes) -> None:
    store = store_with(tmp_path, catalogue_with(tmp_path, model, "http://127.0.0.1:9/m"))
    with pytest.raises(ModelError, match="Check the network"):
        store.add("yolox-nano", now_ms=NOW_MS)


def test_a_file_without_a_manifest_is_stored_with_one_that_names_its_own_digest(
    tmp_path: Path, assets: Path, model: bytes
) -> None:
    store = store_with(tmp_path)
    stored = store.add(str(assets / MODEL), now_ms=NOW_MS, owner=DEVICE)
    assert stored.manifest.sha256 == hashlib.sha256(model).hexdigest()
    assert stored.manifest.source == f"file {MODEL}"
    assert store.test("yolox-nano").detector.model_digest == hashlib.sha256(model).digest()


def test_a_failed_add_keeps_the_model_that_was_there(tmp_path: Path, assets: Path, model: bytes) -> None:
    store = store_with(tmp_path)
    store.add(str(assets / MODEL), now_ms=NOW_MS, owner=DEVICE)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model[:-1000])
    with pytest.raises(ModelError, match=r"write a manifest broken\.toml beside it"):
        store.add(str(broken), now_ms=NOW_MS, owner=DEVICE)
    assert store.versions.path_named("yolox-nano").read_bytes() == model


def test_a_stored_file_that_was_changed_on_disk_is_refused(tmp_path: Path, assets: Path) -> None:
    store = store_with(tmp_path)
    path = store.add(str(assets / MODEL), now_ms=NOW_MS, owner=DEVICE).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        store.test("yolox-nano")


@pytest.mark.parametrize("name", ["yolox-mega", "../yolox-nano", "", "Yolox"])
def test_an_unknown_name_is_refused(tmp_path: Path, name: str) -> None:
    store = store_with(tmp_path)
    with pytest.raises(ModelError, match="yolox-nano"):
        store.add(name, now_ms=NOW_MS)
    with pytest.raises(ModelError, match="cairn-edge model add"):
        store.versions.path_named(name)


@pytest.mark.parametrize("path", ["none.onnx", "/none/at/all.onnx"])
def test_a_missing_file_is_one_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(ModelError, match="Check the path"):
        store_with(tmp_path).add(path, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ('color = "bgr"', 'color = "rgb"'),
        ("scale = 1.0", "scale = 0.00392156862745098"),
        (r"mean = \[0.0, 0.0, 0.0\]", "mean = [123.7, 116.3, 103.5]"),
        (r"std = \[1.0, 1.0, 1.0\]", "std = [58.4, 57.1, 57.4]"),
        ('resize = "letterbox"', 'resize = "stretch"'),
        (r"strides = \[8, 16, 32\]", "strides = [32, 16, 8]"),
        ('"orange", "broccoli"', '"broccoli", "orange"'),
        ("score_ppm = 100000", "score_ppm = 990000"),
        (r'\["clock", 229, 88', '["clock", 259, 118'),
    ],
)
def test_the_self_test_refuses_every_wrong_way_to_read_the_model(
    model: bytes, tmp_path: Path, pattern: str, replacement: str
) -> None:
    """All of these load and run: only the picture tells."""
    text, count = re.subn(pattern, replacement, (SHIPPED_FOLDER / "yolox-nano.toml").read_text(), count=1)
    assert count == 1
    (tmp_path / "wrong.toml").write_text(text)
    manifest = load_manifest(tmp_path / "wrong.toml")
    with pytest.raises(ModelError, match="fails its self-test"):
        selftest(ModelDetector(model, manifest), manifest, folder=SHIPPED_FOLDER)


def test_a_missing_self_test_picture_fails_closed(tmp_path: Path, assets: Path, model: bytes) -> None:
    catalogue = catalogue_with(tmp_path, model, "https://example.org/m")
    shutil.copy(assets / MODEL, catalogue / "yolox-nano.onnx")
    open_model(catalogue / "yolox-nano.onnx")
    (catalogue / PICTURE).unlink()
    with pytest.raises(ModelError, match="self-test picture"):
        open_model(catalogue / "yolox-nano.onnx")


def problems(store: ModelStore) -> list[str]:
    return [finding.problem for finding in store.verify(now_ms=NOW_MS) if finding.problem is not None]


def test_a_signed_model_from_elsewhere_is_taken_in_and_an_unsigned_one_is_not(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    stored = store.add(str(lay_out(tmp_path / "good", manifest(), ANNA, BEN)), now_ms=NOW_MS)
    assert (stored.name, stored.origin) == ("door", Origin.PUBLISHED)
    assert problems(store) == []
    for publishers, complaint in (
        ((), "signed by nobody"),
        ((ANNA,), "1 of the publishers you trust, 2 must"),
        ((ANNA, STRANGER), "1 of the publishers"),
    ):
        folder = tmp_path / f"{len(publishers)}{publishers[-1:]}"
        path = lay_out(folder, manifest(version="2"), *publishers)
        with pytest.raises(ModelError, match=complaint):
            store.add(str(path), now_ms=NOW_MS)
    assert store.versions.path_named("door") == stored.path


def test_a_model_for_a_newer_runtime_says_so(tmp_path: Path) -> None:
    path = lay_out(tmp_path, manifest(changes={"min_onnxruntime": '"99.0"'}), ANNA, BEN)
    with pytest.raises(ModelError, match=r"door needs ONNX Runtime 99\.0 or newer"):
        store_with(tmp_path).add(str(path), now_ms=NOW_MS)


def test_properly_signed_noise_is_refused_by_its_self_test(tmp_path: Path) -> None:
    noise = b"\x08\x07" * 1_000
    changes = {"sha256": f'"{hashlib.sha256(noise).hexdigest()}"', "size_bytes": str(len(noise))}
    path = lay_out(tmp_path, manifest(changes=changes), ANNA, BEN, model=noise)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load the model"):
        store_with(tmp_path).add(str(path), now_ms=NOW_MS)


def test_an_own_model_needs_nobody_but_the_owner_and_is_marked_as_own(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    path = lay_out(tmp_path / "mine", manifest())
    assert store.add(str(path), now_ms=NOW_MS, owner=DEVICE).origin is Origin.OWN
    assert problems(store) == []
    stranger = ModelStore(tmp_path / "store", trust=Trust(device=STRANGER.public_key))  # copied to another device
    assert "signed by 0 of the publishers" in problems(stranger)[0]


def test_own_models_follow_the_device_to_its_next_key(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    store.add(str(lay_out(tmp_path / "mine", manifest())), now_ms=NOW_MS, owner=DEVICE)
    store.add(str(lay_out(tmp_path / "theirs", manifest(name="gate"), ANNA, BEN)), now_ms=NOW_MS)
    for expected in (1, 0):  # the second time there is nothing left to do
        found = sign_own_again(store.versions, before=DEVICE.public_key, owner=STRANGER, now_ms=NOW_MS)
        assert found == expected
    trust = Trust(BOTH.publishers, BOTH.required, STRANGER.public_key)
    assert problems(ModelStore(tmp_path / "store", trust=trust)) == []
    assert problems(store) == []  # the old key is the device's until the very end


def test_a_file_of_unknown_origin_is_not_even_loaded_without_the_owner_s_word(tmp_path: Path, assets: Path) -> None:
    with pytest.raises(ModelError, match="add it with --own"):
        store_with(tmp_path).add(str(assets / MODEL), now_ms=NOW_MS)


@pytest.mark.parametrize("what", ["model", "manifest", "signatures", "picture", "time", "floor", "publisher"])
def test_verify_fails_closed_whatever_has_changed_since(tmp_path: Path, what: str) -> None:
    store = store_with(tmp_path)
    path = store.add(str(lay_out(tmp_path / "good", manifest(), ANNA, BEN)), now_ms=NOW_MS).path
    assert problems(store) == []
    now_ms = NOW_MS
    sentences = {
        "model": "its SHA-256 differs",
        "manifest": "is not the one that was stored",
        "signatures": "broken",
        "picture": "is not the one that its manifest pins",
        "time": "expired on 2028-01-01",
        "floor": "rollback index 0, and a version with 1",
        "publisher": "1 of the publishers",
    }
    if what in {"model", "manifest", "picture"}:
        victim = {"model": path, "manifest": path.with_suffix(".toml"), "picture": path.with_name(DOOR_PICTURE.name)}[
            what
        ]
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    elif what == "signatures":
        victim = path.with_name("door.sig.json")
        victim.write_text(victim.read_text().replace("845828", "845829"))
    elif what == "time":
        now_ms = UnixMs(1_900_000_000_000)
    elif what == "floor":
        store.versions.change(lambda state: msgspec.structs.replace(state, floors={"door": 1}))
    else:
        store = ModelStore(tmp_path / "store", trust=Trust(frozenset({ANNA.public_key, STRANGER.public_key}), 2))
    found = [finding.problem for finding in store.verify(now_ms=now_ms) if finding.problem is not None]
    assert len(found) == 1
    assert sentences[what] in found[0]
    assert "\n" not in found[0]


def test_the_owner_goes_back_to_the_version_before(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    first = store.add(str(lay_out(tmp_path / "1", manifest(version="1"), ANNA, BEN)), now_ms=NOW_MS)
    store.versions.change(probation_passed)
    second = store.add(str(lay_out(tmp_path / "2", manifest(version="2"), ANNA, BEN)), now_ms=NOW_MS)
    assert store.versions.path_named("door") == second.path
    store.versions.change(rolled_back)
    assert store.versions.path_named("door") == first.path
    assert not second.path.exists()


def test_a_download_cut_off_goes_on_where_it_was(tmp_path: Path, model: bytes, shelf: str) -> None:
    wanted = Wanted("yolox", hashlib.sha256(model).hexdigest(), len(model))
    with pytest.raises(ModelError, match=r"Cannot download|were expected"):
        download(wanted, [f"{shelf}/short"], tmp_path / "model.onnx")
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [100_000]
    Shelf.asked_from.clear()
    download(wanted, [f"{shelf}/none", f"{shelf}/part"], tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == model
    assert Shelf.asked_from == [100_000]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("path", ["/model.onnx", "/other-part"])
def test_a_server_that_cannot_go_on_is_asked_for_everything(
    tmp_path: Path, model: bytes, shelf: str, path: str
) -> None:
    wanted = Wanted("yolox", hashlib.sha256(model).hexdigest(), len(model))
    (tmp_path / f".part-{wanted.sha256[:16]}").write_bytes(b"x" * 5_000)  # not even the right bytes
    with pytest.raises(ModelError, match=r"SHA-256|expected"):
        download(wanted, [f"{shelf}/part"], tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f".part-{wanted.sha256[:16]}").write_bytes(model[:5_000])
    download(wanted, [shelf + path], tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == model


def test_the_hub_s_own_address_needs_no_https_and_no_other_does_with_it() -> None:
    check_url("http://10.0.0.7:8080/v1/models/x", plain_http="http://10.0.0.7:8080")
    for url in ("http://10.0.0.7:8081/x", "http://10.0.0.8:8080/x", "http://10.0.0.7:8080@evil/x", "http://[/x"):
        with pytest.raises(ModelError, match="https only"):
            check_url(url, plain_http="http://10.0.0.7:8080")
    with pytest.raises(ModelError, match="https only"):
        check_url("http:///x", plain_http="")


def run(*words: str) -> int:
    return main(["model", *words])


def test_an_operator_signs_and_an_owner_adds_with_commands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, keys = tmp_path / "device", [tmp_path / "anna.key", tmp_path / "ben.key"]
    dids = []
    for key in keys:
        assert run("keygen", "--key-file", str(key)) == 0
        dids.append(capsys.readouterr().out.strip())
    make_device(
        home, hub=STRANGER.public_key, port=1, model={"name": "door", "publishers": dids, "signatures_required": 2}
    )
    path = lay_out(tmp_path / "published", manifest())
    add = ("add", str(path), "--dir", str(home))
    assert run("sign", str(path.with_suffix(".toml")), "--key-file", str(keys[0])) == 0
    assert run(*add) == 1
    assert "1 of the publishers you trust, 2 must" in capsys.readouterr().err
    for _ in range(2):  # twice is once
        assert run("sign", str(path.with_suffix(".toml")), "--key-file", str(keys[1])) == 0
    assert run(*add) == 0
    capsys.readouterr()
    assert run("list", "--dir", str(home)) == 0
    name, version, state, origin, signatures, index, licence, file = capsys.readouterr().out.strip().split("\t")
    assert (name, version, state, origin) == ("door", "1", "runs, on probation", "published")
    assert (signatures, index, licence) == ("2 signatures", "index 0, floor 0", "Apache-2.0")
    assert Path(file).is_file()
    assert run("test", "door", "--dir", str(home)) == 0
    assert run("verify", "--dir", str(home)) == 0
    assert "yolox-nano (shipped)" in capsys.readouterr().out
    Path(file).write_bytes(b"no model")
    assert run("verify", "--dir", str(home)) == 1
    assert "PROBLEM door" in capsys.readouterr().out
    assert run("rollback", "--dir", str(home)) == 1
    assert "no previous model" in capsys.readouterr().err
    mine = lay_out(tmp_path / "mine", manifest(name="mine"))
    assert run("add", str(mine), "--own", "--dir", str(home)) == 0
    assert run("list", "--dir", str(home)) == 0
    assert "mine\t1\tkept\town" in capsys.readouterr().out
    Path(file).with_suffix(".toml").write_text("")
    assert run("list", "--dir", str(home)) == 0
    assert "door\t?\truns, on probation\tDAMAGED" in capsys.readouterr().out


def test_signing_without_a_key_names_the_command_that_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lay_out(tmp_path, manifest()).with_suffix(".toml")
    assert run("sign", str(path), "--key-file", str(tmp_path / "none.key")) == 1
    assert "model keygen --key-file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"expires": "2020-01-01"}, "expired"),
        ({"image_sha256": '"' + "0" * 64 + '"'}, "is not the one that its manifest pins"),
    ],
)
def test_a_manifest_that_no_device_would_take_is_not_signed(
    tmp_path: Path, change: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "anna.key"
    run("keygen", "--key-file", str(key))
    path = lay_out(tmp_path, manifest(changes=change)).with_suffix(".toml")
    assert run("sign", str(path), "--key-file", str(key)) == 1
    assert complaint in capsys.readouterr().err
    assert not path.with_name("door.sig.json").exists()
