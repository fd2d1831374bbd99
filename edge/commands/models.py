"""``model``: look after models, and sign them for others."""

from argparse import ArgumentParser
from pathlib import Path

from edge.commands.words import Verbs, add_command, add_group, later


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``model`` and its commands."""
    kinds = add_group(verbs, "model", says="look after models", example="model add yolox-nano")
    added = add_command(
        kinds,
        common,
        "add",
        later("edge.commands.doing.models:model_add"),
        says="fetch a model by its pinned SHA-256, or copy a file in; check its signatures, test it",
        example="model add yolox-nano",
    )
    added.add_argument("model", metavar="NAME|FILE.onnx")
    added.add_argument("--own", action="store_true", help="sign it with the device's key: a model of your own")
    add_command(
        kinds,
        common,
        "list",
        later("edge.commands.doing.models:model_list"),
        says="list the device's models: name, version, state, who vouches, signatures, index, licence, file",
        example="model list",
    )
    tested = add_command(
        kinds,
        common,
        "test",
        later("edge.commands.doing.models:model_test"),
        says="run a model's self-test",
        example="model test door",
    )
    tested.add_argument("model", metavar="NAME|FILE.onnx")
    add_command(
        kinds,
        common,
        "verify",
        later("edge.commands.doing.models:model_verify"),
        says="check digest, signatures, expiry, index and self-test of every model again",
        example="model verify",
    )
    add_command(
        kinds,
        common,
        "rollback",
        later("edge.commands.doing.models:model_rollback"),
        says="go back to the model before, and do not take this one from an offer again",
        example="model rollback",
    )
    _add_publishing(kinds, common)


def _add_publishing(kinds: Verbs, common: ArgumentParser) -> None:
    made = add_command(
        kinds,
        common,
        "keygen",
        later("edge.commands.doing.publishing:model_keygen"),
        says="make a publisher's key; print its did:key",
        example="model keygen --key-file publisher.key",
    )
    made.add_argument("--key-file", type=Path, required=True, metavar="FILE")
    signed = add_command(
        kinds,
        common,
        "sign",
        later("edge.commands.doing.publishing:model_sign"),
        says="sign a manifest as a publisher; the signature goes into NAME.sig.json beside it",
        example="model sign door.toml --key-file publisher.key",
    )
    signed.add_argument("manifest", type=Path, metavar="NAME.toml")
    signed.add_argument("--key-file", type=Path, required=True, metavar="FILE")
