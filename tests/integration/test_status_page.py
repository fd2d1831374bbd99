"""The page of a device over real HTTP: what it shows, what it never shows, and how it bears ill-mannered visitors."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge_status import ServedPage, served_page, write_status
from tests.support.edge_story import wait_until

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("device")
    write_status(directory)
    (directory / "device.key").write_text("ab" * 32)
    (directory / "cairn.toml").write_text("[position]\nlat_udeg = 52520008\n")
    (directory / "adoption.svg").write_text(SVG)
    return directory


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[ServedPage]:
    with served_page(home, "--on", "always", "--patience-s", "1") as page:
        yield page


def asked(served: ServedPage, path: str, *, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def said(served: ServedPage) -> dict[str, Any]:
    answer, content = asked(served, "/status.json")
    assert answer.status == 200
    found: dict[str, Any] = json.loads(content)
    return found


def raw(served: ServedPage, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), 10) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
        return answer


def status_of(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


def test_the_page_and_its_parts_are_there_under_a_strict_policy(served: ServedPage) -> None:
    for path, kind in {
        "/": "text/html",
        "/page.css": "text/css",
        "/page.js": "text/javascript",
        "/mark.svg": "image/svg+xml",
    }.items():
        answer, content = asked(served, path)
        assert (answer.status, answer.headers.get_content_type()) == (200, kind)
        assert len(content) < 20_000
        policy = str(answer.headers["Content-Security-Policy"])
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in content


def test_the_status_is_shown_and_unknown_fields_are_not(served: ServedPage) -> None:
    found = said(served)
    assert found["is_at_work"]
    assert found["status"]["people"] == 201
    assert found["status"]["processes"][1]["restarts"] == 1
    assert found["status"]["health"]["soc_mdegc"] == 61_250
    assert len(found["minutes"]) == 60
    text = json.dumps(found)
    for secret in ("secret", "52.52", "52520008", "a_field_of_a_later_release", "ab" * 32):
        assert secret not in text


def test_head_gives_the_same_headers_and_nothing_else(served: ServedPage) -> None:
    answer, content = asked(served, "/page.css", method="HEAD")
    assert (answer.status, content) == (200, b"")
    assert int(str(answer.headers["Content-Length"])) > 1_000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_no_other_method_is_answered(served: ServedPage, method: str) -> None:
    answer, _ = asked(served, "/status.json", method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.7", "", "a b", "[::1"]
)
def test_another_name_for_this_machine_is_not_believed(served: ServedPage, host: str) -> None:
    answer, content = asked(served, "/status.json", Host=host)
    assert answer.status == 421
    assert b"device" not in content


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9000", "127.0.0.1", "127.0.0.1:1", "[::1]:8070", "LOCALHOST."]
)
def test_its_own_names_are(served: ServedPage, host: str) -> None:
    assert asked(served, "/", Host=host)[0].status == 200


@pytest.mark.parametrize(
    "path",
    ["/device.key", "/cairn.toml", "/../device.key", "/%2e%2e/device.key", "/page.html", "//", "/status.json/", "/x?y"],
)
def test_nothing_else_of_the_device_is_to_be_had(served: ServedPage, path: str) -> None:
    answer, content = asked(served, path)
    assert answer.status == 404
    assert b"abab" not in content


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 100 + b"\r\n", 400),
        (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_malformed_or_oversized_request_is_refused(served: ServedPage, request_bytes: bytes, status: int) -> None:
    assert status_of(raw(served, request_bytes)) == status


def test_who_says_nothing_or_too_little_is_shown_out(served: ServedPage) -> None:
    """A second is all that this server was told to wait; the call ends by itself, whatever has been sent of it."""
    with socket.create_connection(("127.0.0.1", served.port), 10) as silent:
        assert raw(served, b"GET / HTTP/1.1\r\nHost: loc") == b""
        assert silent.recv(1) == b""
    assert asked(served, "/")[0].status == 200


def test_a_crowd_that_only_stands_there_does_not_stay_for_ever(served: ServedPage) -> None:
    crowd = [socket.create_connection(("127.0.0.1", served.port), 10) for _ in range(40)]
    try:
        for one in crowd:
            one.sendall(b"GET ")
        assert all(status_of(one.recv(4_096)) in {0, 503} for one in crowd)
    finally:
        for one in crowd:
            one.close()
    wait_until(lambda: asked(served, "/")[0].status == 200, at_most_s=10, what="the page answers again")


def test_the_adoption_picture_can_run_nothing_and_goes_with_the_adoption(home: Path, served: ServedPage) -> None:
    answer, content = asked(served, "/adoption.svg")
    assert (answer.status, content.decode()) == (200, SVG)
    policy = str(answer.headers["Content-Security-Policy"])
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert said(served)["adoption"] == {"is_adopted": False, "code": "7KQ-2M9-XW4", "has_picture": True}
    write_status(home, is_adopted=True)
    wait_until(lambda: said(served)["adoption"]["is_adopted"], at_most_s=10, what="the adoption is seen")
    assert said(served)["adoption"] == {"is_adopted": True, "code": None, "has_picture": False}
    assert "7KQ" not in json.dumps(said(served))
    assert asked(served, "/adoption.svg")[0].status == 404
    write_status(home)


def test_what_is_no_svg_is_not_served(tmp_path: Path) -> None:
    write_status(tmp_path)
    (tmp_path / "device.key").write_text("<svg" + "ab" * 32)
    (tmp_path / "adoption.svg").symlink_to(tmp_path / "device.key")
    with served_page(tmp_path) as page:
        assert asked(page, "/adoption.svg")[0].status == 404
        (tmp_path / "adoption.svg").unlink()
        (tmp_path / "adoption.svg").write_text("<html>")
        assert asked(page, "/adoption.svg")[0].status == 404
        (tmp_path / "adoption.svg").write_text("<svg>" + " " * 300_000)
        assert asked(page, "/adoption.svg")[0].status == 404


def test_a_device_that_has_not_run_yet_has_no_status(tmp_path: Path) -> None:
    with served_page(tmp_path) as page:
        assert said(page)["status"] is None
        write_status(tmp_path)
        wait_until(lambda: said(page)["status"] is not None, at_most_s=10, what="the status is read")


def test_the_page_ends_with_the_adoption(tmp_path: Path) -> None:
    write_status(tmp_path)
    with served_page(tmp_path, "--linger-s", "1") as page:
        assert not said(page)["is_closing"]
        write_status(tmp_path, is_adopted=True)
        wait_until(lambda: said(page)["is_closing"], at_most_s=10, what="the page says that it closes")
        assert page.running.wait(20) == 0
    command = [sys.executable, "-m", "edge.status_page", "--dir", str(tmp_path), "--port", "0"]
    for words in (["--on", "until_adopted"], ["--on", "never"]):
        ended = subprocess.run([*command, *words], capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, served: ServedPage) -> None:
    command = [sys.executable, "-m", "edge.status_page", "--dir", str(tmp_path), "--port", str(served.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "choose another port under [status_page]" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_status_can_be_watched_until_it_is_interrupted(home: Path) -> None:
    command = [sys.executable, "-m", "edge.cli", "status", "--watch", "--json", "--dir", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        seen = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    assert [each["people"] for each in seen] == [201, 201]


def test_the_page_is_small(served: ServedPage) -> None:
    status = Path(f"/proc/{served.running.pid}/status").read_text()
    rss_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert rss_kib < 40_000
