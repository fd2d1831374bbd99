"""``cairn-edge``: set a device up, run it, ask what is wrong, replay a video, look after models.

Data on stdout, talk on stderr. Exit status: 0 well, 1 a problem (one sentence on stderr), 2 a wrong command line,
3 the recording has ended but some envelopes have no receipt yet (they are kept, the next run sends them).
"""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from edge.commands import device, examine, identity, models, outbox, picture, sensors
from edge.commands.words import EXIT_PROBLEM, common_options
from edge.errors import EdgeError
from edge.log import configure_log
from edge.settings import DIRECTORY_VARIABLE

_GROUPS = (identity, device, examine, models, outbox, picture, sensors)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    configure_log(is_verbose=options.verbose)
    try:
        status: int = options.command(options)
    except EdgeError as error:
        print(f"cairn-edge: {error}", file=sys.stderr)
        return EXIT_PROBLEM
    except KeyboardInterrupt:
        print("cairn-edge: interrupted", file=sys.stderr)
        return EXIT_PROBLEM
    return status


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="cairn-edge",
        description="The agent of one Cairn device: it watches a place and signs what it counts.",
        epilog="Example: cairn-edge init --hub http://127.0.0.1:8080 --owner 0x... --lat 52.52 --lon 13.405",
        formatter_class=RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    common = common_options(Path(os.environ.get(DIRECTORY_VARIABLE, "~/.cairn/edge")).expanduser())
    for group in _GROUPS:
        group.add_to(verbs, common)
    return parser


if __name__ == "__main__":
    sys.exit(main())
