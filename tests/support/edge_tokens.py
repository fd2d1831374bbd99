"""A real PKCS#11 token in software (SoftHSM) and a real TPM 2.0 in software (swtpm), each in a folder of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest

from edge.owning.anchors import KeyPlace
from edge.owning.token_key import KeyToken

PIN = "24680"
LABEL = "cairn-test"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


@dataclass
class SoftToken:
    """One token. ``pull`` takes it out, ``put_back`` brings it again."""

    folder: Path
    module: str

    def opened(self, pin: str = PIN, label: str = LABEL) -> KeyToken:
        return KeyToken(self.module, label, pin=lambda: pin)

    def place(self, key: str = "cairn") -> KeyPlace:
        return KeyPlace(source="pkcs11", module=self.module, token=LABEL, label=key, pin_variable="CAIRN_PIN")

    def words(self, key: str = "cairn") -> list[str]:
        """What names this token to ``cairn-edge init``."""
        (self.folder / "pin").touch(0o600)
        (self.folder / "pin").write_text(PIN + "\n")
        named = {"module": self.module, "token": LABEL, "label": key, "pin-file": str(self.folder / "pin")}
        return [word for name, value in named.items() for word in (f"--key-{name}", value)]

    def pull(self) -> None:
        (self.folder / "tokens").rename(self.folder / "elsewhere")
        (self.folder / "tokens").mkdir()

    def exchange(self) -> None:
        """Put another token with the same label and PIN in its place."""
        self.pull()
        _init_token()
        pkcs11.lib(self.module).reinitialize()

    def put_back(self) -> None:
        (self.folder / "tokens").rmdir()
        (self.folder / "elsewhere").rename(self.folder / "tokens")


def _init_token() -> None:
    words = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "13579"]
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def soft_token(folder: Path) -> Iterator[SoftToken]:
    """Make a token; the library that reads it is told where by the environment, as SoftHSM wants it."""
    module = next((path for path in _MODULES if Path(path).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.fail("SoftHSM is not installed: run tests/system-packages.sh")
    (folder / "tokens").mkdir(parents=True)
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    try:
        _init_token()
        yield SoftToken(folder, module)
    finally:
        pkcs11.lib(module).finalize()
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


@contextmanager
def soft_tpm(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Start a TPM; yield where it is, in the words of tpm2-tools, and the environment for these."""
    program = shutil.which("swtpm")
    if program is None or shutil.which("tpm2_nvincrement") is None:
        pytest.fail("swtpm or tpm2-tools are not installed: run tests/system-packages.sh")
    folder.mkdir(parents=True, exist_ok=True)
    port = _two_free_ports()
    words = [program, "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear"]
    words += ["--server", f"type=tcp,port={port},bindaddr=127.0.0.1"]
    words += ["--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"]
    tcti = f"swtpm:host=127.0.0.1,port={port}"
    environment = {**os.environ, "TPM2TOOLS_TCTI": tcti}
    with (folder / "swtpm.log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as running:
        try:
            _await_answer(environment)
            yield tcti, environment
        finally:
            running.terminate()
            running.wait(10)


def _await_answer(environment: Mapping[str, str]) -> None:
    for _ in range(200):
        asked = subprocess.run(["tpm2_getcap", "handles-nv-index"], env=environment, capture_output=True, check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    pytest.fail("the software TPM does not answer")


def _two_free_ports() -> int:
    """The library takes the port after the first for the TPM's controls."""
    for _ in range(50):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue
    return pytest.fail("no two free ports beside each other")
