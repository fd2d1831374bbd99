"""``status``: how the agent is, in words or as JSON."""

import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Final

import msgspec

from edge.commands.terminal import CLEAR_SCREEN, Paint, bar, paint_for, size, span
from edge.commands.words import EXIT_PROBLEM, EXIT_WELL, Verbs, add_command
from edge.errors import EdgeError
from edge.status_view import StatusView, read_view

_EVERY_S: Final = 1.0
_HOT_MDEGC: Final = 80_000
_NOW_BITS: Final = 0xF


class NoStatusError(EdgeError):
    """There is no status to show; the message says what to do."""


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``status``."""
    parser = add_command(
        verbs, common, "status", status, says="say how the agent is", example="status --watch --dir ./door"
    )
    parser.add_argument("--watch", action="store_true", help="show it again every second until you stop it")
    parser.add_argument("--json", action="store_true", help="one JSON object (with --watch: one a line)")


def status(options: Namespace) -> int:
    """Print the status once, or again and again; exit status 0 if the agent is at work and well."""
    paint = paint_for(sys.stdout, os.environ)
    if not options.watch:
        view = _shown(options, paint)
        is_at_work = view.is_fresh(now_ms=_clock_ms())
        return EXIT_WELL if is_at_work and view.trouble is None else EXIT_PROBLEM
    try:
        while True:
            _shown(options, paint)
            time.sleep(_EVERY_S)
    except KeyboardInterrupt:  # the way to end it
        return EXIT_WELL


def _shown(options: Namespace, paint: Paint) -> StatusView:
    view = read_view(options.dir)
    if view is None:
        raise NoStatusError(f"there is no status in {options.dir}: has the agent run? Start `cairn-edge run`")
    now_ms = _clock_ms()
    if options.json:
        said = {"is_at_work": view.is_fresh(now_ms=now_ms), **msgspec.to_builtins(view)}
        print(json.dumps(said, indent=None if options.watch else 2), flush=True)
    else:
        shown = "\n".join(lines_of(view, now_ms=now_ms, paint=paint))
        print((CLEAR_SCREEN if options.watch and sys.stdout.isatty() else "") + shown, flush=True)
    return view


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def lines_of(view: StatusView, *, now_ms: int, paint: Paint) -> Iterator[str]:
    """Return the status in words, line by line."""
    yield _heading(view, now_ms=now_ms, paint=paint)
    yield paint(f"  {view.device or 'no key yet'} on {view.network or '?'}, release {view.release or '?'}", "soft")
    if view.trouble is not None:
        yield "  " + paint(view.trouble, "bad")
    for name, words in (
        ("sees", _seeing(view)),
        ("counts", f"{view.tracks} tracks, {view.people} people"),
        ("signs", _signing(view, now_ms=now_ms)),
        ("waits", _waiting(view)),
        ("receipts", ", ".join(f"{count} {verdict}" for verdict, count in view.receipts.items()) or "none yet"),
        ("hub", _hub(view, paint=paint)),
        ("board", _board(view, paint=paint)),
        ("memory", _memory(view)),
    ):
        if words:
            yield f"  {paint(f'{name:10}', 'soft')}{words}"
    if view.max_fps_reason:
        yield "  " + paint(view.max_fps_reason, "warn")
    if view.debug_pictures:
        yield "  " + paint(f"{view.debug_pictures} blurred debug pictures were made; the health record says so", "warn")


def _heading(view: StatusView, *, now_ms: int, paint: Paint) -> str:
    name = paint("cairn-edge", "strong")
    if view.is_fresh(now_ms=now_ms):
        since = span(now_ms - view.started_at_ms) if view.started_at_ms else "?"
        is_well = view.trouble is None
        return f"{name}  {paint('●', 'good' if is_well else 'bad')} at work for {since}, start {view.boot or '?'}"
    if view.is_running:
        return f"{name}  {paint('●', 'bad')} silent for {span(now_ms - (view.updated_at_ms or now_ms))}: it has died"
    return f"{name}  {paint('○', 'warn')} stopped {span(now_ms - (view.updated_at_ms or now_ms))} ago"


def _seeing(view: StatusView) -> str:
    if not view.frames:
        return "nothing yet" if view.model else ""
    words = [f"{view.fps:.1f} frames a second" if view.fps is not None else f"{view.frames} frames"]
    if view.inference_p50_us is not None and view.inference_p95_us is not None:
        words.append(f"{view.inference_p50_us / 1000:.1f} ms (p95 {view.inference_p95_us / 1000:.1f}) each")
    elif view.inference_ms_mean:
        words.append(f"{view.inference_ms_mean:.1f} ms each")
    if view.inferred_ppm is not None:
        words.append(f"the model looked at {view.inferred_ppm // 10_000} %")
    if view.model:
        words.append(
            f"{view.model} on {view.provider.removesuffix('ExecutionProvider')}" if view.provider else view.model
        )
    return ", ".join(words)


def _signing(view: StatusView, *, now_ms: int) -> str:
    last = view.last_signed
    words = f"{view.envelopes_signed} envelopes"
    if last is not None:
        words += f", the last (number {last.sequence}) {span(now_ms - last.signed_at_ms)} ago"
        words += f": {last.says}" if last.says else ""
    return words


def _waiting(view: StatusView) -> str:
    if not view.outbox_envelopes and not view.observations_waiting:
        return "nothing: everything has a receipt"
    age = f", the oldest for {span(view.outbox_oldest_ms)}" if view.outbox_oldest_ms else ""
    classes = ", ".join(f"{count} {name}" for name, count in view.outbox_classes.items() if count)
    refused = f", {view.outbox_refused} refused by the hub" if view.outbox_refused else ""
    detail = f" ({classes})" if classes else ""
    return f"{view.outbox_envelopes} envelopes{detail}, {size(view.outbox_bytes)}{age}{refused}"


def _hub(view: StatusView, *, paint: Paint) -> str:
    if view.hubs:
        words = (paint(hub.hub[:24], "good" if hub.is_connected else "bad") for hub in view.hubs)
        return ", ".join(words)
    beacon = f", beacon {view.beacon_round}" if view.beacon_round is not None else ", no beacon yet"
    if not view.is_connected:
        return paint("not connected", "bad")
    return paint("connected", "good") + (", enrolled" if view.is_enrolled else ", not enrolled yet") + beacon


def _board(view: StatusView, *, paint: Paint) -> str:
    health = view.health
    words = []
    mdegc = health.get("soc_mdegc")
    if mdegc is not None:
        words.append(paint(f"{mdegc / 1000:.1f} °C", "bad" if mdegc >= _HOT_MDEGC else "good"))
    bits = health.get("throttled_bits")
    if bits is not None and bits & _NOW_BITS:
        words.append(paint("held back: `cairn-edge doctor` says why", "bad"))
    wear_ppm = health.get("disk_wear_ppm")
    if wear_ppm is not None:
        words.append(f"disk used up {bar(wear_ppm / 1_000_000, width=10)} {wear_ppm // 10_000} %")
    free_mib = health.get("disk_free_mib")
    if free_mib is not None:
        words.append(f"{size(free_mib << 20)} free")
    return ", ".join(words)


def _memory(view: StatusView) -> str:
    parts = [
        f"{each.name} {size((each.rss_kib or 0) << 10)}" + (f" (restarted {each.restarts}x)" if each.restarts else "")
        for each in view.processes
    ]
    if parts:
        total_kib = sum(each.rss_kib or 0 for each in view.processes)
        return f"{size(total_kib << 10)}: {', '.join(parts)}"
    return f"{size(view.peak_rss_kib << 10)} at most" if view.peak_rss_kib else ""
