"""The device's model store: a folder with one folder for each model.

``<store>/<name>/`` holds ``<name>.onnx``, ``<name>.toml`` and the self-test picture. A model is put together in a
hidden folder, tested there, and renamed into place: what the store lists has passed its self-test once.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.detector.detection import ModelError
from edge.detector.manifest import ModelManifest, load_manifest, parse_manifest
from edge.detector.session import SessionOptions
from edge.models.download import download
from edge.models.opening import OpenedModel, open_model
from edge.models.shipped import SHIPPED_FOLDER, catalogued_manifest


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model of the store."""

    name: str
    path: Path  # of the ONNX file
    manifest: ModelManifest


class ModelStore:
    """A folder of models. One error family: ModelError."""

    def __init__(self, folder: Path, *, catalogue: Path = SHIPPED_FOLDER) -> None:
        """Use ``folder``, created when first needed; ``catalogue`` holds the manifests of models to be had by name."""
        self._folder = folder
        self._catalogue = catalogue

    def add(
        self,
        name_or_path: str,
        *,
        options: SessionOptions | None = None,
        report: Callable[[int, int], None] | None = None,
    ) -> StoredModel:
        """Add a model by its shipped name (downloaded) or by the path of an .onnx file; replace one of the same name.

        Args:
            name_or_path: ``yolox-nano``, or a path ending in ``.onnx``; a manifest beside it is used.
            options: how to run the self-test.
            report: told (bytes so far, bytes in all) during a download.

        Raises:
            ModelError: unknown, refused, or failing its self-test; the store is then as it was.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".adding-") as scratch_name:
                scratch = Path(scratch_name)
                if name_or_path.endswith(".onnx"):
                    name = self._copy_in(Path(name_or_path).expanduser(), scratch, options)
                else:
                    name = self._download_in(name_or_path, scratch, report)
                open_model(scratch / name / f"{name}.onnx", options=options)
                self._put_in_place(scratch, name)
        except OSError as error:
            raise ModelError(
                f"Cannot write the model store {self._folder}: {error}. Check space and rights."
            ) from error
        return self._stored(name)

    def list(self) -> tuple[StoredModel, ...]:
        """Return the models of the store, by name.

        Raises:
            ModelError: one of them has lost its manifest or file.
        """
        if not self._folder.is_dir():
            return ()
        names = sorted(each.name for each in self._folder.iterdir() if each.is_dir() and each.name[0] != ".")
        return tuple(self._stored(name) for name in names)

    def path_of(self, name: str) -> Path:
        """Return the path of the ONNX file of the model ``name``.

        Raises:
            ModelError: the store has no such model.
        """
        return self._stored(name).path

    def test(self, name: str, *, options: SessionOptions | None = None) -> OpenedModel:
        """Check the file's SHA-256, load it and run its self-test; return it ready to work.

        Raises:
            ModelError: it fails.
        """
        return open_model(self.path_of(name), options=options)

    def _stored(self, name: str) -> StoredModel:
        path = self._folder / name / f"{name}.onnx"
        if not re.fullmatch(r"[a-z0-9-]+", name) or not path.is_file():
            known = ", ".join(sorted(each.name for each in self._folder.glob("[!.]*"))) or "none yet"
            raise ModelError(
                f"The model store has no {name!r} (it has {known}): add it with `cairn-edge model add {name}`."
            )
        return StoredModel(name=name, path=path, manifest=load_manifest(path.with_suffix(".toml")))

    def _download_in(self, name: str, scratch: Path, report: Callable[[int, int], None] | None) -> str:
        manifest = catalogued_manifest(name, self._catalogue)
        (scratch / name).mkdir()
        shutil.copyfile(self._catalogue / f"{name}.toml", scratch / name / f"{name}.toml")
        shutil.copyfile(self._catalogue / manifest.selftest.image, scratch / name / manifest.selftest.image)
        download(manifest, scratch / name / f"{name}.onnx", report=report)
        return name

    @staticmethod
    def _copy_in(path: Path, scratch: Path, options: SessionOptions | None) -> str:
        opened = open_model(path, options=options)
        manifest, name = opened.manifest, opened.manifest.name
        (scratch / name).mkdir()
        shutil.copyfile(path, scratch / name / f"{name}.onnx")
        beside = path.with_suffix(".toml")
        text = (beside if beside.is_file() else SHIPPED_FOLDER / f"{name}.toml").read_text()
        if not opened.is_official:
            text = _rebound(text, path.read_bytes(), source=f"file {path.name}")
        (scratch / name / f"{name}.toml").write_text(text)
        shutil.copyfile(opened.manifest_folder / manifest.selftest.image, scratch / name / manifest.selftest.image)
        return name

    def _put_in_place(self, scratch: Path, name: str) -> None:
        for path in (scratch / name).iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        target = self._folder / name
        if target.exists():
            target.rename(scratch / "replaced")
        (scratch / name).rename(target)


def _rebound(manifest_text: str, model: bytes, *, source: str) -> str:
    """Return the manifest for another file of the same shapes: its own SHA-256, size and source."""
    text = manifest_text
    for key, value in (
        ("sha256", f'"{hashlib.sha256(model).hexdigest()}"'),
        ("size_bytes", str(len(model))),
        ("source", '"' + re.sub(r'[\\"\x00-\x1f\x7f]', "_", source) + '"'),
    ):
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
    parse_manifest(text, origin=source)
    return text
