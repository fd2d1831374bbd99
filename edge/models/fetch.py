"""Fetching one parcel, in a process of its own that has the network and one folder.

    python -m edge.models.fetch FOLDER < PARCEL

Reads an edge.models.errands.Parcel (JSON) from stdin and fills FOLDER: the self-test picture, the model, the manifest,
the signatures. What is there already is not fetched again; a part of a file is gone on with. Exit status 0 and one
JSON line on stdout; 1 and one sentence on stderr.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.models.download import Wanted, download
from edge.models.errands import ErrandAnswer, Parcel
from edge.models.errors import ModelError
from edge.models.versions import MANIFEST_SUFFIX, MODEL_SUFFIX, SIGNATURES_SUFFIX
from protocol.errors import MalformedError
from protocol.modelmanifest import PICTURE_MAX_BYTES, parse_head, write_signatures


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what stdin names; return the exit status."""
    parser = ArgumentParser(prog="python -m edge.models.fetch", description="Fetch one model.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        fetch(msgspec.json.decode(sys.stdin.buffer.read(), type=Parcel), options.folder)
    except (ModelError, MalformedError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(ErrandAnswer()).decode() + "\n")
    return 0


def fetch(parcel: Parcel, folder: Path) -> None:
    """Fill ``folder`` with the parcel's four files.

    Raises:
        ModelError: a file cannot be had.
        MalformedError: the manifest is none.
        OSError: ``folder`` cannot be written.
    """
    head = parse_head(parcel.manifest)
    if head.selftest.image_sha256 is None:
        raise ModelError(f"{head.name} does not pin its self-test picture: it cannot be fetched.")
    picture = Wanted(head.selftest.image, head.selftest.image_sha256, PICTURE_MAX_BYTES, is_exact=False)
    model = Wanted(head.name, head.sha256, head.size_bytes)
    for wanted, sources, name in (
        (picture, parcel.picture_sources, head.selftest.image),
        (model, parcel.model_sources, head.name + MODEL_SUFFIX),
    ):
        if not (folder / name).exists():
            download(wanted, sources, folder / name, plain_http=parcel.plain_http)
    (folder / (head.name + MANIFEST_SUFFIX)).write_bytes(parcel.manifest)
    if parcel.approvals:
        (folder / (head.name + SIGNATURES_SUFFIX)).write_bytes(write_signatures(parcel.approvals))


if __name__ == "__main__":
    sys.exit(main())
