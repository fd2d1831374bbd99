"""compose.yaml, as far as it can be checked without an engine: every command parses, every setting exists."""

import argparse
import re
from typing import Any

import pytest
import yaml

from hub import cli as hub_cli
from hub.settings import HubSettings
from rewards.parser import build_parser
from rewards.settings import RewardsSettings
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "cairn:local"}
PARSERS: dict[str, argparse.ArgumentParser] = {"cairn-hub": hub_cli.build_parser(), "cairn-rewards": build_parser()}


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_exists(name: str) -> None:
    program, *words = OURS[name]["command"]
    PARSERS[program].parse_args(words)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {f"HUB_{field.upper()}" for field in HubSettings.model_fields}
    known |= {f"REWARDS_{field.upper()}" for field in RewardsSettings.model_fields}
    assert set(OURS[name].get("environment", {})) <= known


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_no_more_than_they_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER cairn" in service["build"]["dockerfile_inline"]


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"(?i)password:\s*[a-z0-9]", text)
    assert set(re.findall(r"\$\{(\w+):\?", text)) == {"DATABASE_PASSWORD"}


def test_everything_named_is_defined() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"]
        for needed in service.get("depends_on", []):
            assert needed in COMPOSE["services"]
