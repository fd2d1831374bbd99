"""What ``cairn-edge model`` does."""

import sys
from argparse import Namespace

from edge.commands.words import EXIT_WELL
from edge.models.store import ModelStore
from edge.opening import open_named_model
from edge.place import MODELS_FOLDER


def model_add(options: Namespace) -> int:
    """Add a model to the device's store; print its name."""
    told = [-1]

    def report(so_far: int, in_all: int) -> None:
        tenth = 10 * so_far // max(in_all, 1)
        if tenth != told[0]:
            told[0] = tenth
            print(f"download: {10 * tenth} % of {in_all} bytes", file=sys.stderr)

    stored = ModelStore(options.dir / MODELS_FOLDER).add(options.model, report=report)
    print(stored.name)
    return EXIT_WELL


def model_list(options: Namespace) -> int:
    """Print the models of the device's store."""
    for stored in ModelStore(options.dir / MODELS_FOLDER).list():
        print(f"{stored.name}\t{stored.manifest.version}\t{stored.manifest.licence}\t{stored.path}")
    return EXIT_WELL


def model_test(options: Namespace) -> int:
    """Run a model's self-test; print what ran it."""
    opened = open_named_model(options.model, directory=options.dir, threads=1)
    print(f"{opened.manifest.name} passed its self-test on {opened.detector.provider}")
    return EXIT_WELL
