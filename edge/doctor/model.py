"""The model: does it load and find what its self-test picture shows; and a broken one is fetched again."""

from edge.detector.detection import ModelError
from edge.detector.session import SessionOptions
from edge.doctor.check import Finding, FixError, ill, well
from edge.doctor.patient import Patient
from edge.models.store import ModelStore
from edge.sight.opening import open_named_model


def look_at_model(patient: Patient) -> Finding | None:
    """The model passes its self-test; a running agent's is not loaded a second time."""
    told = patient.told
    if told is None or not told.camera_source:
        return None
    name = told.model_name
    running = patient.running
    if running is not None and running.frames:
        return well(f"{running.model or name} is at work in the running agent")
    try:
        opened = open_named_model(
            name, directory=patient.directory, options=SessionOptions(intra_op_threads=told.model_threads)
        )
    except ModelError as error:
        return ill(str(error), can_be_fixed=_store(patient).can_fetch(name))
    skipped = "; ".join(f"{name} does not run here: {reason}" for name, reason in opened.detector.skipped)
    says = f"{opened.manifest.name} passed its self-test on {opened.detector.provider}"
    return well(f"{says} ({skipped})" if skipped else says)


def fetch_model(patient: Patient) -> str:
    """Fetch the file that the model's manifest pins, once more."""
    if patient.told is None:
        raise FixError("mend the settings first")
    name = patient.told.model_name
    store = _store(patient)
    if not store.can_fetch(name):
        raise FixError(f"no manifest says where to get {name}: add it with `cairn-edge model add FILE.onnx`")
    try:
        store.fetch_again(name, now_ms=patient.world.now_ms())
    except ModelError as error:
        raise FixError(str(error)) from error
    return f"fetched {name} again from its manifest's source"


def _store(patient: Patient) -> ModelStore:
    return ModelStore(patient.directory / patient.files.models)
