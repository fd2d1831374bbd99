"""Rewrite every vector: ``python tests/vectors/generate.py [--into FOLDER]``. See README.md beside this file."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from cases import adoptions, archives, own_words, primitives, records, refusals

HERE = Path(__file__).resolve().parent

DOCUMENTS: dict[str, Callable[[], dict[str, object]]] = {
    "varint/valid": primitives.varint_valid,
    "varint/invalid": primitives.varint_invalid,
    "cid/valid": primitives.cid_valid,
    "cid/invalid": primitives.cid_invalid,
    "dagcbor/valid": primitives.dagcbor_valid,
    "dagcbor/invalid": primitives.dagcbor_invalid,
    "identity/valid": primitives.identity_valid,
    "identity/invalid": primitives.identity_invalid,
    "envelope/valid": lambda: records.envelope_valid(own_words.own_words_envelopes()),
    "envelope/invalid": refusals.envelope_invalid,
    "succession/valid": own_words.succession_valid,
    "succession/invalid": own_words.succession_invalid,
    "enrollment/valid": records.enrollment_valid,
    "receipt/valid": records.receipt_valid,
    "logbook/valid": records.logbook_valid,
    "modeloffer/valid": records.modeloffer_valid,
    "car/valid": archives.car_valid,
    "car/invalid": archives.car_invalid,
    "piece/valid": archives.piece_valid,
    "merkle/valid": archives.merkle_valid,
    "merkle/invalid": archives.merkle_invalid,
    "manifest/valid": archives.manifest_valid,
    "adoption/valid": adoptions.adoption_valid,
    "adoption/invalid": adoptions.adoption_invalid,
    "shortcode/valid": adoptions.short_code_valid,
    "shortcode/invalid": adoptions.short_code_invalid,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Rewrite the test vectors.", epilog="example: python tests/vectors/generate.py --into /tmp/vectors"
    )
    parser.add_argument("--into", type=Path, default=HERE, help="folder to write to (default: beside this file)")
    into: Path = parser.parse_args().into
    for name, document in DOCUMENTS.items():
        path = into / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
