"""What ``cairn-edge doctor`` does."""

import os
import time
from argparse import Namespace
from pathlib import Path

from edge.clock import clock_ms
from edge.commands.words import EXIT_PROBLEM, EXIT_WELL
from edge.doctor import (
    Check,
    check_camera,
    check_disk,
    check_hub,
    check_key,
    check_model,
    check_outbox,
    check_sensors,
    check_sequence,
    is_agent_running,
)
from edge.identity import KeyFileError, load_key_file
from edge.outbox import OutboxLimits
from edge.place import KEY_FILE, OUTBOX_FILE, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE, EdgeSettings, SettingsError, load_settings
from edge.status import read_status
from edge.uplink import Route


def doctor(options: Namespace) -> int:
    """Check everything; print one line a check."""
    if not any((options.dir / name).exists() for name in (KEY_FILE, SEQUENCE_FILE, SETTINGS_FILE)):
        print(f"PROBLEM device    there is no device in {options.dir}: make one with `cairn-edge init`, or name --dir")
        return EXIT_PROBLEM
    checks = [check_key(options.dir / KEY_FILE), check_sequence(options.dir / SEQUENCE_FILE), check_disk(options.dir)]
    try:
        settings = load_settings(options.dir, os.environ)
    except SettingsError as error:
        checks.append(Check("settings", is_well=False, says=str(error)))
    else:
        checks.append(Check("settings", is_well=True, says=str(options.dir / SETTINGS_FILE)))
        checks += _checks_of(settings, options.dir)
    for check in checks:
        print(f"{'ok' if check.is_well else 'PROBLEM':8}{check.name:10}{check.says}")
    return EXIT_WELL if all(check.is_well for check in checks) else EXIT_PROBLEM


def _checks_of(settings: EdgeSettings, directory: Path) -> list[Check]:
    now_ms = clock_ms()
    status = read_status(directory)
    running = status if is_agent_running(status, now_ms=now_ms) else None
    box = settings.outbox
    checks = [
        check_camera(settings.camera.source, now_ms=clock_ms, folder_fps=settings.camera.folder_fps, running=running),
        check_sensors(settings.sensors.sources, now_ms=now_ms),
        check_outbox(
            directory / OUTBOX_FILE,
            limits=OutboxLimits(box.max_envelopes, box.max_bytes, box.receipts_kept),
            now_ms=now_ms,
        ),
    ]
    if settings.camera.source:
        checks.append(check_model(settings.model.name, directory=directory, threads=settings.model.threads))
    try:
        device = load_key_file(directory / KEY_FILE).public_key
    except KeyFileError:
        return checks  # check_key has said so
    route = Route(settings.broker.host, settings.broker.port, settings.network, device, settings.hub_key())
    return [*checks, *check_hub(route, now_ms=clock_ms, monotonic_s=time.monotonic)]
