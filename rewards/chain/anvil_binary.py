"""Find the anvil program: a real EVM node of some 40 MB that npm brings and that needs no Node to run."""

import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rewards.chain.errors import NodeMissingError

ANVIL_VARIABLE = "CAIRN_ANVIL"
_NODE_FOLDER = Path(__file__).with_name("node")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil(environment: Mapping[str, str], *, node_folder: Path = _NODE_FOLDER) -> Path:
    """Return the anvil to run: ``CAIRN_ANVIL``, else one on ``PATH``, else the one installed beside package.json.

    Raises:
        NodeMissingError: there is none, or ``CAIRN_ANVIL`` names no file.
    """
    if named := environment.get(ANVIL_VARIABLE):
        if Path(named).is_file():
            return Path(named)
        raise NodeMissingError(f"{ANVIL_VARIABLE} names {named}, which is no file: correct it or unset it.")
    if on_path := shutil.which("anvil", path=environment.get("PATH", "")):
        return Path(on_path)
    installed = node_folder / "node_modules" / "@foundry-rs" / f"anvil-{_platform()}" / "bin" / "anvil"
    if installed.is_file():
        return installed
    raise NodeMissingError("There is no local EVM node (anvil) on this machine: run `make setup` to install it.")


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"
