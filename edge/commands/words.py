"""What every command has in common: how it is added, its exit statuses, the options all of them take.

Nothing here or in the modules of this folder may import numpy, OpenCV or ONNX Runtime: `cairn-edge run` is the process
that holds the key, and it is small. A command that needs them is named by `later`.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

EXIT_WELL: Final = 0
EXIT_PROBLEM: Final = 1
EXIT_UNDELIVERED: Final = 3

Command = Callable[[Namespace], int]
if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Verbs: TypeAlias = _SubParsersAction[ArgumentParser]
else:
    Verbs = object


def common_options(default_directory: Path) -> ArgumentParser:
    """Return the options that every command takes."""
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        type=Path,
        default=default_directory,
        metavar="DIR",
        help=f"the device's directory (CAIRN_EDGE_DIR; default {default_directory})",
    )
    common.add_argument("-v", "--verbose", action="store_true", help="log each envelope too")
    return common


def later(target: str) -> Command:
    """Return the command ``package.module:function``, imported only when it is run."""
    module, _, name = target.partition(":")

    def command(options: Namespace) -> int:
        chosen: Command = getattr(import_module(module), name)
        return chosen(options)

    return command


def add_command(  # what argparse needs of a command
    verbs: Verbs,
    common: ArgumentParser,
    name: str,
    command: Command,
    *,
    says: str,
    example: str,
) -> ArgumentParser:
    """Add a command and return its parser.

    Args:
        verbs: where to add it.
        common: the options that every command takes.
        name: its word.
        command: what to run; it returns the exit status.
        says: one line, beginning with a verb, lower case.
        example: a whole command line without ``cairn-edge``.
    """
    parser = verbs.add_parser(
        name,
        parents=[common],
        help=says,
        description=says[0].upper() + says[1:] + ".",
        epilog=f"Example: cairn-edge {example}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def add_group(verbs: Verbs, name: str, *, says: str, example: str) -> Verbs:
    """Add a word that has commands of its own, like ``model``, and return where to add those."""
    group = verbs.add_parser(name, help=says, epilog=f"Example: cairn-edge {example}")
    return group.add_subparsers(required=True, metavar="COMMAND")
