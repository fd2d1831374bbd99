"""The kernel keeps a child away from the key and the network: tried from inside a real confined process."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from edge.confine import Confinement, confined_command
from tests.conftest import ROOT

MODEL = ROOT / "firmware_sim" / "models" / "cairn-tiny.onnx"


def probe(folder: Path, *, has_network: bool) -> dict[str, object]:
    secret, readable, writable = folder / "home" / "device.key", folder / "clip.mp4", folder / "pictures"
    secret.parent.mkdir()
    writable.mkdir()
    secret.write_text("secret")
    readable.write_text("film")
    confinement = Confinement(
        module="tests.support.confined_probe",
        read=(str(readable), str(ROOT / "tests"), str(MODEL.parent), str(folder / "not there")),
        write=(str(writable),),
        has_network=has_network,
        arguments=(str(secret), str(readable), str(writable), str(MODEL)),
    )
    outcome = subprocess.run(
        confined_command(confinement),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    told: dict[str, object] = json.loads(outcome.stdout)
    return told


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return probe(tmp_path_factory.mktemp("vision"), has_network=False)


def test_this_kernel_can_do_both(vision: dict[str, object]) -> None:
    assert vision["confined"] == "files,network"


def test_neither_the_process_nor_its_children_can_read_the_key_or_list_its_folder(vision: dict[str, object]) -> None:
    assert [vision[name] for name in ("secret", "secret_by_a_child", "listing")] == [False, False, False]


def test_it_writes_only_where_it_may(vision: dict[str, object]) -> None:
    tried = {name: vision[name] for name in ("writable", "outside", "readable_for_writing")}
    assert tried == {"writable": True, "outside": False, "readable_for_writing": False}


def test_it_has_no_network_but_local_sockets(vision: dict[str, object]) -> None:
    families = {name: vision[name] for name in vision if name.startswith("AF_")}
    assert len(families) == 8
    assert not any(families.values())
    assert vision["local_socket"] is True


def test_what_it_is_for_still_works(vision: dict[str, object]) -> None:
    assert [vision[name] for name in ("readable", "model", "picture")] == [True, True, True]


def test_a_process_that_may_have_the_network_has_it_and_still_no_key(tmp_path: Path) -> None:
    capture = probe(tmp_path, has_network=True)
    assert capture["confined"] == "files"
    assert (capture["AF_INET_stream"], capture["secret"]) == (True, False)
