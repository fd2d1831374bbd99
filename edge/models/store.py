"""What puts models into a device's store and tries those that are there: the part that loads them.

A model is put together in a hidden folder, believed (edge.models.trust), tested there, and renamed into place: what the
store lists has passed its self-test once. The folder itself and the state are those of edge.models.versions.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.detector.manifest import ModelManifest, load_manifest, parse_manifest
from edge.detector.session import SessionOptions
from edge.models.download import Report, Wanted, download
from edge.models.errors import ModelError
from edge.models.opening import OpenedModel, check_picture, open_model
from edge.models.rollout import Ref, RolloutState, added, floor_problem, running
from edge.models.shipped import SHIPPED_FOLDER, catalogued_manifest, catalogued_manifests
from edge.models.trust import Origin, Trust, check_fresh, head_of, origin_of
from edge.models.versions import SIGNATURES_SUFFIX, ModelVersions, Version, read_signatures, ref_of
from protocol.identity import Signer
from protocol.modelmanifest import manifest_digest, write_signatures
from protocol.modeloffer import approve
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model of the store."""

    name: str
    path: Path  # of the ONNX file
    manifest: ModelManifest
    origin: Origin


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of one model says."""

    name: str
    problem: str | None  # a sentence; None: it is well


class ModelStore:
    """A folder of models. One error family: ModelError."""

    def __init__(self, folder: Path, *, trust: Trust | None = None) -> None:
        """Use ``folder``, created when first needed; ``trust`` also says where the models to be had by name stand."""
        self.versions = ModelVersions(folder)
        self._trust = trust or Trust()

    def add(
        self,
        name_or_path: str,
        *,
        now_ms: UnixMs,
        owner: Signer | None = None,
        options: SessionOptions | None = None,
        report: Report | None = None,
    ) -> StoredModel:
        """Add a model by its shipped name (downloaded) or by the path of an .onnx file; it becomes its name's newest.

        Args:
            name_or_path: ``yolox-nano``, or a path ending in ``.onnx``; a manifest and signatures beside it are used.
            now_ms: when an expired manifest is refused.
            owner: the device's key: sign the manifest with it, as a model of the owner's own.
            options: how to run the self-test.
            report: told (bytes so far, bytes in all) during a download.

        Raises:
            ModelError: unknown, not to be trusted, expired, below the floor, or failing its self-test; the store is
                then as it was.
        """
        with self.versions.scratch() as scratch:
            try:
                if name_or_path.endswith(".onnx"):
                    name = self._copy_in(Path(name_or_path).expanduser(), scratch, owner, now_ms)
                else:
                    name = self._download_in(name_or_path, scratch, report)
            except OSError as error:
                raise ModelError(
                    f"Cannot write the model store {self.versions.folder}: {error}. Check space and rights."
                ) from error
            model = scratch / name / f"{name}.onnx"
            ref, origin = self._believed(model, now_ms)
            problem = floor_problem(self.versions.state(), ref)
            if problem:
                raise ModelError(f"{problem}.")
            manifest = open_model(model, options=options).manifest
            self.versions.place(model.parent, ref, lambda state: added(state, ref))
        return StoredModel(name, self.versions.path_of(ref), manifest, origin)

    def fetch_again(self, name: str, *, now_ms: UnixMs) -> None:
        """Fetch the file of the model ``name`` once more, from where its manifest says; add it where there is none.

        What comes is what the stored manifest pins, so nothing is believed anew.

        Raises:
            ModelError: the manifest is damaged, no source has the file, or it fails its self-test.
        """
        ref = running(self.versions.state(), name)
        if ref is None:
            self.add(name, now_ms=now_ms)
            return
        manifest = self._stored_manifest(ref)
        before = self.versions.folder_of(ref)
        with self.versions.scratch() as scratch:
            made = scratch / name
            made.mkdir()
            shutil.copytree(before, made, ignore=shutil.ignore_patterns("*.onnx"), dirs_exist_ok=True)
            model = made / f"{ref.name}.onnx"
            wanted = Wanted(ref.name, manifest.sha256, manifest.size_bytes)
            download(wanted, (manifest.source, *manifest.mirrors), model)
            open_model(model)
            self.versions.place(made, ref, lambda state: state)

    def can_fetch(self, name: str) -> bool:
        """Say whether somebody says where to get the model ``name``: its own manifest, else one that is shipped."""
        try:
            ref = running(self.versions.state(), name)
            catalogue = self._trust.catalogue
            manifest = catalogued_manifest(name, catalogue) if ref is None else self._stored_manifest(ref)
        except ModelError:
            return False
        return manifest.source.startswith(("https://", "http://"))

    def _stored_manifest(self, ref: Ref) -> ModelManifest:
        path = self.versions.path_of(ref).with_suffix(".toml")
        manifest = load_manifest(path)
        if manifest_digest(path.read_bytes()).hex() != ref.digest:
            raise ModelError(f"The manifest of {ref.name} is not the one that was stored: add the model again.")
        return manifest

    def test(self, name: str, *, options: SessionOptions | None = None) -> OpenedModel:
        """Check the file's SHA-256, load it and run its self-test; return it ready to work.

        Raises:
            ModelError: it fails.
        """
        return open_model(self.versions.path_named(name), options=options)

    def verify(self, *, now_ms: UnixMs, options: SessionOptions | None = None) -> Iterator[Finding]:
        """Check everything in the store again, and every shipped manifest: nothing is believed for having been once."""
        for path in sorted(self._trust.catalogue.glob("*.toml")):
            yield Finding(f"{path.stem} (shipped)", _problem_of(partial(self._check_shipped, path, now_ms)))
        state = self.versions.state()
        for ref in state.kept:
            yield Finding(ref.name, _problem_of(partial(self._check_stored, state, ref, now_ms, options)))

    def _check_shipped(self, path: Path, now_ms: UnixMs) -> None:
        manifest = load_manifest(path)
        check_picture(manifest, path.parent)
        check_fresh(head_of(path.read_bytes(), origin=path.name), Origin.SHIPPED, now_ms=now_ms)

    def _check_stored(self, state: RolloutState, ref: Ref, now_ms: UnixMs, options: SessionOptions | None) -> None:
        held = self.versions.version(ref)
        check_fresh(held.head, origin_of(held.manifest, held.approvals, self._trust), now_ms=now_ms)
        problem = floor_problem(state, ref)
        if problem:
            raise ModelError(f"{problem}.")
        open_model(held.path, options=options)

    def origin(self, version: Version) -> Origin | None:
        """Return who vouches for a stored version; None: nobody who counts."""
        try:
            return origin_of(version.manifest, version.approvals, self._trust)
        except ModelError:
            return None

    def _believed(self, model: Path, now_ms: UnixMs) -> tuple[Ref, Origin]:
        manifest = model.with_suffix(".toml").read_bytes()
        head = head_of(manifest, origin=model.with_suffix(".toml").name)
        origin = origin_of(manifest, read_signatures(model), self._trust)
        check_fresh(head, origin, now_ms=now_ms)
        return ref_of(manifest, head, is_own=origin is Origin.OWN), origin

    def _download_in(self, name: str, scratch: Path, report: Report | None) -> str:
        catalogue = self._trust.catalogue
        manifest = catalogued_manifest(name, catalogue)
        (scratch / name).mkdir()
        shutil.copyfile(catalogue / f"{name}.toml", scratch / name / f"{name}.toml")
        shutil.copyfile(catalogue / manifest.selftest.image, scratch / name / manifest.selftest.image)
        wanted = Wanted(name, manifest.sha256, manifest.size_bytes)
        download(wanted, (manifest.source, *manifest.mirrors), scratch / name / f"{name}.onnx", report=report)
        return name

    def _copy_in(self, path: Path, scratch: Path, owner: Signer | None, now_ms: UnixMs) -> str:
        beside = path.with_suffix(".toml")
        if not path.is_file():
            raise ModelError(f"Cannot read the model {path}: there is no such file. Check the path.")
        if beside.is_file():
            if owner is None:
                self._believed(path, now_ms)  # before a stranger's file is loaded
            manifest, text, pictures = load_manifest(beside), beside.read_bytes(), beside.parent
        else:
            manifest, text, pictures = _recognised(path, may_guess=owner is not None)
        folder = scratch / manifest.name
        folder.mkdir()
        shutil.copyfile(path, folder / f"{manifest.name}.onnx")
        (folder / f"{manifest.name}.toml").write_bytes(text)
        picture = pictures / manifest.selftest.image
        if not picture.is_file():
            raise ModelError(f"The self-test picture {picture} is missing or broken: put it beside the manifest.")
        shutil.copyfile(picture, folder / manifest.selftest.image)
        approvals = (approve(text, owner, signed_at_ms=now_ms),) if owner else read_signatures(path)
        if approvals:
            (folder / f"{manifest.name}{SIGNATURES_SUFFIX}").write_bytes(write_signatures(approvals))
        return manifest.name


def _recognised(path: Path, *, may_guess: bool) -> tuple[ModelManifest, bytes, Path]:
    """Return the manifest of a file that has none beside it, its text, and where its picture lies."""
    if not may_guess and hashlib.sha256(path.read_bytes()).hexdigest() not in {
        manifest.sha256 for manifest in catalogued_manifests()
    }:
        raise ModelError(
            f"{path} is none of the models that come with the agent, and no signed manifest lies beside it: "
            "if it is a model of your own, add it with --own."
        )
    opened = open_model(path)
    manifest = opened.manifest
    text = (SHIPPED_FOLDER / f"{manifest.name}.toml").read_text()
    if not opened.is_official:
        text = _rebound(text, path.read_bytes(), source=f"file {path.name}")
    return manifest, text.encode(), opened.manifest_folder


def _problem_of(check: Callable[[], None]) -> str | None:
    try:
        check()
    except ModelError as error:
        return str(error)
    return None


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
