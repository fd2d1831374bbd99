"""The model store on the real model: added by path, downloaded over loopback, and refused when anything differs."""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edge.detector.detection import ModelError
from edge.detector.manifest import load_manifest
from edge.detector.model import ModelDetector
from edge.detector.selftest import selftest
from edge.models.opening import open_model
from edge.models.shipped import SHIPPED_FOLDER
from edge.models.store import ModelStore

MODEL = "yolox_nano_416.onnx"
PICTURE = "yolox-nano-selftest.png"


@pytest.fixture(scope="module")
def model(assets: Path) -> bytes:
    return (assets / MODEL).read_bytes()


class Shelf(BaseHTTPRequestHandler):
    """Serves ``content``, in the manner that the path names."""

    content = b""

    def do_GET(self) -> None:
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


def test_a_model_by_name_is_downloaded_checked_and_ready(tmp_path: Path, model: bytes, shelf: str) -> None:
    store = ModelStore(tmp_path / "store", catalogue=catalogue_with(tmp_path, model, f"{shelf}/model.onnx"))
    assert store.list() == ()
    progress: list[tuple[int, int]] = []
    stored = store.add("yolox-nano", report=lambda so_far, in_all: progress.append((so_far, in_all)))
    assert progress[-1] == (len(model), len(model))
    assert stored.path.read_bytes() == model
    assert store.path_of("yolox-nano") == stored.path
    assert [each.name for each in store.list()] == ["yolox-nano"]
    assert store.test("yolox-nano").is_official
    assert store.add("yolox-nano").path == stored.path  # again replaces
    assert [each.name for each in (tmp_path / "store").iterdir()] == ["yolox-nano"]  # no scratch left


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
    store = ModelStore(tmp_path / "store", catalogue=catalogue_with(tmp_path, model, shelf + path, **changes))
    with pytest.raises(ModelError, match=complaint):
        store.add("yolox-nano")
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("source", ["http://192.0.2.1/m", "ftp://127.0.0.1/m", "file:///etc/passwd", "nonsense", ""])
def test_only_https_or_this_machine_is_asked(tmp_path: Path, model: bytes, source: str) -> None:
    store = ModelStore(tmp_path / "store", catalogue=catalogue_with(tmp_path, model, source))
    with pytest.raises(ModelError, match="https"):
        store.add("yolox-nano")


def test_a_dead_address_is_one_sentence(tmp_path: Path, model: bytes) -> None:
    store = ModelStore(tmp_path / "store", catalogue=catalogue_with(tmp_path, model, "http://127.0.0.1:9/m"))
    with pytest.raises(ModelError, match="Check the network"):
        store.add("yolox-nano")


def test_a_file_without_a_manifest_is_stored_with_one_that_names_its_own_digest(
    tmp_path: Path, assets: Path, model: bytes
) -> None:
    store = ModelStore(tmp_path / "store")
    stored = store.add(str(assets / MODEL))
    assert stored.manifest.sha256 == hashlib.sha256(model).hexdigest()
    assert stored.manifest.source == f"file {MODEL}"
    assert store.test("yolox-nano").detector.model_digest == hashlib.sha256(model).digest()


def test_a_failed_add_keeps_the_model_that_was_there(tmp_path: Path, assets: Path, model: bytes) -> None:
    store = ModelStore(tmp_path / "store")
    store.add(str(assets / MODEL))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model[:-1000])
    with pytest.raises(ModelError, match=r"write a manifest broken\.toml beside it"):
        store.add(str(broken))
    assert store.path_of("yolox-nano").read_bytes() == model


def test_a_stored_file_that_was_changed_on_disk_is_refused(tmp_path: Path, assets: Path) -> None:
    store = ModelStore(tmp_path / "store")
    path = store.add(str(assets / MODEL)).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        store.test("yolox-nano")


@pytest.mark.parametrize("name", ["yolox-mega", "../yolox-nano", "", "Yolox"])
def test_an_unknown_name_is_refused(tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path / "store")
    with pytest.raises(ModelError, match="yolox-nano"):
        store.add(name)
    with pytest.raises(ModelError, match="cairn-edge model add"):
        store.path_of(name)


@pytest.mark.parametrize("path", ["none.onnx", "/none/at/all.onnx"])
def test_a_missing_file_is_one_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(ModelError, match="Check the path"):
        ModelStore(tmp_path / "store").add(path)


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
