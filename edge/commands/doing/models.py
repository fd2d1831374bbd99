"""What ``cairn-edge model`` does in a device's store."""

import os
import sys
from argparse import Namespace
from pathlib import Path

from edge.clock import clock_ms
from edge.commands.words import EXIT_PROBLEM, EXIT_WELL
from edge.detector.session import SessionOptions
from edge.models.errors import ModelError
from edge.models.keeping import trust_of
from edge.models.rollout import Ref, RolloutState, rolled_back
from edge.models.store import ModelStore
from edge.models.trust import Trust, publishers_of
from edge.models.versions import ModelVersions
from edge.owning.anchors import KeyPlace
from edge.owning.keys import open_signer
from edge.place import KEY_FILE, MODELS_FOLDER
from edge.settings import SETTINGS_FILE, EdgeSettings, load_settings
from edge.sight.opening import open_named_model
from protocol.identity import Signer


def model_add(options: Namespace) -> int:
    """Add a model to the device's store; print its name."""
    told = [-1]

    def report(so_far: int, in_all: int) -> None:
        tenth = 10 * so_far // max(in_all, 1)
        if tenth != told[0]:
            told[0] = tenth
            print(f"download: {10 * tenth} % of {in_all} bytes", file=sys.stderr)

    owner = _owner(options.dir) if options.own else None
    stored = _store(options.dir).add(options.model, now_ms=clock_ms(), owner=owner, report=report)
    print(stored.name)
    return EXIT_WELL


def model_list(options: Namespace) -> int:
    """Print the models of the device's store, one a line, fields apart by tabs."""
    store, trust = _store(options.dir), _trust(options.dir)
    state = store.versions.state()
    for ref in state.kept:
        told = _state_of(ref, state)
        try:
            version = store.versions.version(ref)
        except ModelError as error:
            print("\t".join((ref.name, "?", told, f"DAMAGED: {error}")))
            continue
        fields = (
            ref.name,
            version.head.version,
            told,
            store.origin(version) or "NOT TRUSTED",
            f"{publishers_of(version.manifest, version.approvals, trust)} signatures",
            f"index {ref.index}, floor {state.floors.get(ref.name, 0)}",
            version.head.licence,
            str(version.path),
        )
        print("\t".join(fields))
    return EXIT_WELL


def model_test(options: Namespace) -> int:
    """Run a model's self-test; print what ran it."""
    opened = open_named_model(options.model, directory=options.dir, options=SessionOptions(intra_op_threads=1))
    print(f"{opened.manifest.name} passed its self-test on {opened.detector.provider}")
    return EXIT_WELL


def model_verify(options: Namespace) -> int:
    """Check every model; print one line each. One that fails makes the exit status 1."""
    is_well = True
    for finding in _store(options.dir).verify(now_ms=clock_ms()):
        is_well = is_well and finding.problem is None
        print(f"{'ok' if finding.problem is None else 'PROBLEM':8}{finding.name:28}{finding.problem or 'verified'}")
    return EXIT_WELL if is_well else EXIT_PROBLEM


def model_rollback(options: Namespace) -> int:
    """Go back to the previous model; print its name and version."""
    versions = ModelVersions(options.dir / MODELS_FOLDER)
    current = versions.change(rolled_back).current
    if current is not None:
        print(f"{current.name} {versions.version(current).head.version}")
    return EXIT_WELL


def _state_of(ref: Ref, state: RolloutState) -> str:
    if ref == state.current:
        return "runs" if state.probation is None else "runs, on probation"
    if ref == state.candidate:
        return "on trial"
    return "previous" if ref == state.previous else "kept"


def _store(directory: Path) -> ModelStore:
    return ModelStore(directory / MODELS_FOLDER, trust=_trust(directory))


def _trust(directory: Path) -> Trust:
    """Return whom the device in ``directory`` believes; where there is no device yet: nobody but the package."""
    settings = _settings(directory)
    place = KeyPlace() if settings is None else settings.key
    has_none = place.source == "file" and not (directory / KEY_FILE).exists()
    device = None if has_none else _owner(directory).public_key
    if settings is None:
        return Trust(device=device)
    return trust_of(settings.model, device)


def _owner(directory: Path) -> Signer:
    settings = _settings(directory)
    return open_signer(KeyPlace() if settings is None else settings.key, directory, os.environ)


def _settings(directory: Path) -> EdgeSettings | None:
    return load_settings(directory, os.environ) if (directory / SETTINGS_FILE).exists() else None
