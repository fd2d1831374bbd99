"""The compiled contracts that come with the package: nobody who runs the network needs a compiler."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rewards.chain.errors import ChainError


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_spans: tuple[tuple[int, int], ...]  # (first byte, length) in the deployed bytecode, zero there
    sources_sha256: Mapping[str, str]  # path of every source, imported ones too, to its digest

    def is_code_of(self, code: bytes) -> bool:
        """Say whether ``code``, read from the chain, is this contract, whatever it was deployed with."""
        if len(code) != len(self.deployed_bytecode):
            return False
        bare = bytearray(code)
        for start, length in self.immutable_spans:
            bare[start : start + length] = bytes(length)
        return bytes(bare) == self.deployed_bytecode


@cache
def load_artifact(name: str) -> Artifact:
    """Return the artifact ``CairnRewards`` or ``CairnTestToken``.

    Raises:
        ChainError: the package is not complete.
    """
    try:
        text = files("rewards.contracts").joinpath("artifacts", f"{name}.json").read_text("utf-8")
    except OSError as error:
        raise ChainError(f"the compiled contract {name} is missing from this installation: install it again") from error
    parts = json.loads(text)
    return Artifact(
        name=parts["contractName"],
        abi=parts["abi"],
        bytecode=bytes.fromhex(parts["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(parts["deployedBytecode"][2:]),
        immutable_spans=tuple((span["start"], span["length"]) for span in parts["immutableReferences"]),
        sources_sha256=parts["sourcesSha256"],
    )
