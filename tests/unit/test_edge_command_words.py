"""The words of ``cairn-edge``: every command has an example, and every one that is imported late exists."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import edge.commands
from edge.cli import main

FOLDER = Path(edge.commands.__file__).parent
TARGETS = sorted(
    {each for path in FOLDER.glob("*.py") for each in re.findall(r'later\("([\w.:]+)"\)', path.read_text())}
)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_imported_late_is_there(target: str) -> None:
    module, _, name = target.partition(":")
    assert callable(getattr(import_module(module), name))


def test_there_are_late_commands_at_all() -> None:
    assert len(TARGETS) >= 5


@pytest.mark.parametrize(
    "words", [[], ["init"], ["run"], ["doctor"], ["status"], ["replay"], ["model"], ["model", "add"]]
)
def test_help_has_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    assert "Example: cairn-edge" in capsys.readouterr().out


def test_a_fresh_interpreter_finds_the_command() -> None:
    outcome = subprocess.run([sys.executable, "-m", "edge.cli"], capture_output=True, text=True, check=False)
    assert outcome.returncode == 2
    assert "COMMAND" in outcome.stderr
