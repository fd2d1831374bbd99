"""``model``: look after models."""

from argparse import ArgumentParser

from edge.commands.words import Verbs, add_command, add_group, later


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``model`` and its commands."""
    kinds = add_group(verbs, "model", says="look after models", example="model add yolox-nano")
    added = add_command(
        kinds,
        common,
        "add",
        later("edge.commands.doing.models:model_add"),
        says="fetch a model by its pinned SHA-256, or copy a file in; test it",
        example="model add yolox-nano",
    )
    added.add_argument("model", metavar="NAME|FILE.onnx")
    add_command(
        kinds,
        common,
        "list",
        later("edge.commands.doing.models:model_list"),
        says="list the device's models",
        example="model list",
    )
    tested = add_command(
        kinds,
        common,
        "test",
        later("edge.commands.doing.models:model_test"),
        says="run a model's self-test",
        example="model test yolox-nano",
    )
    tested.add_argument("model", metavar="NAME|FILE.onnx")
