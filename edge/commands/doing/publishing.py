"""What ``cairn-edge model keygen`` and ``model sign`` do: the publisher's side."""

import os
import sys
from argparse import Namespace
from pathlib import Path

from edge.clock import clock_ms
from edge.commands.words import EXIT_WELL
from edge.detector.manifest import load_manifest
from edge.models.download import place
from edge.models.errors import ModelError
from edge.models.opening import check_picture
from edge.models.trust import Origin, check_fresh, head_of
from edge.models.versions import SIGNATURES_SUFFIX, read_signatures
from edge.owning.identity import create_key_file, load_key_file
from protocol.errors import ProtocolError
from protocol.modelmanifest import manifest_digest, write_signatures
from protocol.modeloffer import APPROVALS_MAX, approve, open_approval


def model_keygen(options: Namespace) -> int:
    """Make a publisher's key; print its did:key."""
    key = create_key_file(options.key_file)
    print(key.public_key.did)
    print(
        f"Keep {options.key_file} safe and offline. Owners trust it with [model] publishers = "
        f'["{key.public_key.did}"] in cairn.toml.',
        file=sys.stderr,
    )
    return EXIT_WELL


def model_sign(options: Namespace) -> int:
    """Sign a manifest as it lies there; print the file that holds the signatures."""
    path: Path = options.manifest
    if not options.key_file.exists():
        raise ModelError(
            f"there is no key at {options.key_file}: make one with `cairn-edge model keygen --key-file "
            f"{options.key_file}`"
        )
    key = load_key_file(options.key_file)
    check_picture(load_manifest(path), path.parent)
    manifest = path.read_bytes()
    # What no device would take is not worth a signature.
    check_fresh(head_of(manifest, origin=str(path)), Origin.PUBLISHED, now_ms=clock_ms())
    others = tuple(block for block in _approvals(path, manifest) if open_approval(block)[0] != key.public_key)
    if len(others) >= APPROVALS_MAX:
        raise ModelError(f"{path.name} has {len(others)} signatures already, and there may be {APPROVALS_MAX}.")
    approvals = (*others, approve(manifest, key, signed_at_ms=clock_ms()))
    signatures = path.with_name(path.stem + SIGNATURES_SUFFIX)
    _write(signatures, write_signatures(approvals))
    print(signatures)
    return EXIT_WELL


def _approvals(path: Path, manifest: bytes) -> list[bytes]:
    """Return the approvals so far of these very bytes; those of an earlier text of the manifest fall away."""
    digest = manifest_digest(manifest)
    kept = []
    for block in read_signatures(path.with_suffix(".onnx")):
        try:
            if open_approval(block)[1].manifest == digest:
                kept.append(block)
        except ProtocolError as error:
            raise ModelError(f"A signature beside {path} is broken: {error}. Delete it and sign again.") from error
    return kept


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        place(draft, path)
    except OSError as error:
        raise ModelError(f"Cannot write {path}: {error.strerror}. Choose a folder you may write to.") from error
