"""What ``cairn-edge doctor`` does."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cv2

from edge.assembly import outbox_limits
from edge.care.host import Host
from edge.clock import clock_ms
from edge.commands.words import EXIT_PROBLEM, EXIT_WELL
from edge.doctor.check import Grade, Outcome, examine, ill
from edge.doctor.hub_word import asked_hub
from edge.doctor.patient import FileNames, Patient, Told, World
from edge.doctor.table import CHECKS
from edge.doctor.tools import Tools
from edge.log import silence_log
from edge.place import KEY_FILE, MODELS_FOLDER, OUTBOX_FILE, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE, SettingsError, load_settings

FILES: Final = FileNames(
    key=KEY_FILE, sequence=SEQUENCE_FILE, outbox=OUTBOX_FILE, settings=SETTINGS_FILE, models=MODELS_FOLDER
)


def doctor(options: Namespace) -> int:
    """Check everything; print one line a check, or all as JSON."""
    if not options.verbose:
        _hush()
    directory: Path = options.dir
    if not any((directory / name).exists() for name in (KEY_FILE, SEQUENCE_FILE, SETTINGS_FILE)):
        says = f"there is no device in {directory}: make one with `cairn-edge init`, or name --dir"
        return _report([Outcome("device", ill(says))], as_json=options.json, with_fixes=False)
    patient = Patient(directory, FILES, told=_told_by(directory), world=_world())
    return _report(examine(patient, CHECKS, with_fixes=options.fix), as_json=options.json, with_fixes=options.fix)


def _told_by(directory: Path) -> Told | str:
    try:
        settings = load_settings(directory, os.environ)
    except SettingsError as error:
        return str(error)
    return Told(
        network=settings.network,
        hub=settings.hub_key(),
        broker_host=settings.broker.host,
        broker_port=settings.broker.port,
        camera_source=settings.camera.source,
        folder_fps=settings.camera.folder_fps,
        model_name=settings.model.name,
        model_threads=settings.model.threads,
        sensor_sources=settings.sensors.sources,
        outbox_limits=outbox_limits(settings),
        warm_mdegc=settings.care.warm_mdegc,
        key=settings.key,
    )


def _world() -> World:
    return World(
        now_ms=clock_ms,
        ask_hub=lambda route: asked_hub(route, now_ms=clock_ms, monotonic_s=time.monotonic),
        host=Host(),
        tools=Tools(os.environ.get("PATH", "")),
        user_id=os.geteuid(),
    )


def _report(outcomes: Iterable[Outcome], *, as_json: bool, with_fixes: bool) -> int:
    heard = []
    for outcome in outcomes:
        heard.append(outcome)
        if not as_json:
            print(_line(outcome), flush=True)
    mendable = sum(outcome.finding.can_be_fixed and outcome.did is None for outcome in heard)
    if mendable and not with_fixes:
        print(f"{mendable} of these can be mended: `cairn-edge doctor --fix`", file=sys.stderr)
    is_well = all(outcome.is_well for outcome in heard)
    if as_json:
        json.dump({"is_well": is_well, "checks": [_facts(outcome) for outcome in heard]}, sys.stdout, indent=2)
        print()
    return EXIT_WELL if is_well else EXIT_PROBLEM


def _line(outcome: Outcome) -> str:
    finding = outcome.finding
    is_mended = outcome.did is not None and finding.grade is not Grade.ILL
    label = "fixed" if is_mended else finding.grade.value
    says = finding.says
    if outcome.did is not None:
        says = f"{outcome.did}; now: {says}"
    if outcome.failed is not None:
        says = f"{says}; not fixed: {outcome.failed}"
    return f"{label:8}{outcome.name:10}{says}"


def _facts(outcome: Outcome) -> dict[str, object]:
    finding = outcome.finding
    return {
        "name": outcome.name,
        "grade": {Grade.WELL: "well", Grade.NOTE: "note", Grade.ILL: "problem"}[finding.grade],
        "says": finding.says,
        "can_be_fixed": finding.can_be_fixed,
        "did": outcome.did,
        "failed": outcome.failed,
    }


def _hush() -> None:
    """Leave the talking to the checks: drivers and loops below them say the same with more words."""
    silence_log()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first stream is opened
    cv2.utils.logging.setLogLevel(0)
