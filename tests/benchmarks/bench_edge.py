"""The edge agent on the labelled video: frames against raw inference, memory, first signature, bytes on the wire.

What compares is taken in turns within one run: raw inference, pipeline, raw inference, pipeline, raw inference. The
pipeline is the real agent, its processes and a broker with a hub that answers, while twenty simulated sensors keep
the uplink busy with twenty signed envelopes a second.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from edge.detector.detection import Detector
from edge.models.opening import open_model
from protocol.classes import class_name
from tests.support.counting_wire import CountingWire
from tests.support.edge_story import Broker, ListeningHub, make_device, running_broker

ROOT = Path(__file__).resolve().parents[2]
Say = Callable[[str], None]

_SENSORS = tuple(f"simulated:temperature/{index}" for index in range(20))
_RAW_S = 4.0
_TURNS = 2


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the agent showed."""

    fps: float
    status: dict[str, object]  # the last one while it ran
    keeper_rss_mib: float
    total_rss_mib: float
    first_signed_s: float
    people: int


def measure(say: Say) -> dict[str, int | float | str]:
    """Return pipeline_to_raw_2core, pipeline_to_raw_1core, latency_p95_ms, uplink_rss_mib, total_rss_mib, and more."""
    assets = Path(os.environ.get("CAIRN_ASSETS", ROOT.parent / "shared" / "assets"))
    video, model = assets / "people_one_by_one.mp4", assets / "yolox_nano_416.onnx"
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name:
        folder = Path(name)
        with running_broker("nats", folder / "broker") as broker, ListeningHub(broker.port) as hub:
            hub.relay_beacon()
            bench = Bench(folder, broker, hub, video, model, say)
            figures = bench.ratios()
            figures |= bench.quiet_run()
            figures |= bench.first_signature()
            figures |= bench.against_per_frame(int(figures["wire_bytes"]))
    return figures


class Bench:
    """One broker, one hub, and devices that come and go."""

    def __init__(  # a bench holds what its runs share
        self, folder: Path, broker: Broker, hub: ListeningHub, video: Path, model: Path, say: Say
    ) -> None:
        self._folder = folder
        self._broker = broker
        self._hub = hub
        self._video = video
        self._model = model
        self._say = say
        self._devices = 0
        self._objects = 0

    def ratios(self) -> dict[str, int | float | str]:
        """Pipeline against raw inference: on two cores, then with every process of the agent pinned to one."""
        figures: dict[str, int | float | str] = {}
        for name, cores in (("2core", None), ("1core", {0})):
            raw, pipeline = [self._raw_fps(cores)], []
            for turn in range(_TURNS):
                # Without the gate: every frame is inferred, or there would be nothing to compare.
                busy = {"max_observations": 1, "max_delay_ms": 0}
                run = self._run(cores=cores, sensors=_SENSORS, batch=busy, gate="off")
                pipeline.append(run.fps)
                raw.append(self._raw_fps(cores))
                self._say(f"{name}, turn {turn + 1}: raw {raw[-2]:.1f} and {raw[-1]:.1f}, pipeline {run.fps:.1f} fps")
            between = [(before + after) / 2 for before, after in pairwise(raw)]
            ratios = [mine / theirs for mine, theirs in zip(pipeline, between, strict=True)]
            figures[f"pipeline_to_raw_{name}"] = round(statistics.median(ratios), 3)
            figures[f"raw_fps_{name}"] = round(statistics.median(raw), 1)
        return figures

    def quiet_run(self) -> dict[str, int | float | str]:
        """One device on the labelled video as an owner runs it: memory, latency, the count, bytes on the wire."""
        with CountingWire(self._broker.port) as wire:
            run = self._run(cores=None, sensors=(), batch={"max_delay_ms": 0}, port=wire.port)
            wire_bytes = wire.total_bytes
        self._objects = run.people
        return {
            "latency_p95_ms": round(float(str(run.status["latency_p95_ms"])), 1),
            "uplink_rss_mib": run.keeper_rss_mib,
            "total_rss_mib": run.total_rss_mib,
            "total_peak_rss_mib": round(int(str(run.status["peak_rss_kib"])) / 1024, 1),
            "people_counted": run.people,
            "wire_bytes": wire_bytes,
        }

    def first_signature(self) -> dict[str, int | float | str]:
        """From the start of the command to the first signed observation: a clip in which somebody is seen at once."""
        clip = self._folder / "clip.mp4"
        _cut(self._video, clip, first=100, frames=50)
        took = [self._run(cores=None, sensors=(), video=clip).first_signed_s for _ in range(3)]
        return {"first_signed_s": round(statistics.median(took), 2)}

    def against_per_frame(self, mine: int) -> dict[str, int | float | str]:
        """How many times more a publisher needs that sends one JSON message a frame: every one, or only full ones."""
        opened = open_model(self._model)
        messages = [
            _per_frame_message(number, opened.detector, frame) for number, frame in enumerate(_frames(self._video))
        ]
        every = self._published([text for text, _ in messages])
        full = self._published([text for text, boxes in messages if boxes])
        return {
            "wire_bytes_ratio": round(every / mine, 1),
            "wire_bytes_ratio_without_empty_frames": round(full / mine, 1),
        }

    def _published(self, messages: Sequence[str]) -> int:
        """Publish ``messages`` with QoS 1 and return the bytes on the wire, both ways."""
        with CountingWire(self._broker.port) as wire:
            # It goes by the very name that our device goes by; the name stands in the topic, as ours does.
            topic = f"detections/{self._hub.hub.keys.public_key.name}"
            client = Client(CallbackAPIVersion.VERSION2, client_id="per-frame")
            client.connect("127.0.0.1", wire.port)
            client.loop_start()
            for text in messages:
                client.publish(topic, text, qos=1).wait_for_publish(10)
            client.disconnect()
            client.loop_stop()
            return wire.total_bytes

    def _run(
        self,
        *,
        cores: set[int] | None,
        sensors: tuple[str, ...],
        batch: dict[str, int] | None = None,
        port: int | None = None,
        video: Path | None = None,
        gate: str = "auto",
    ) -> Run:
        self._devices += 1
        home, log = self._folder / f"device-{self._devices}", self._folder / f"device-{self._devices}.log"
        make_device(
            home,
            hub=self._hub.hub.keys.public_key,
            port=port or self._broker.port,
            camera={"source": str(video or self._video), "gate": gate},
            model={"name": str(self._model)},
            sensors={"sources": list(sensors), "period_ms": 1_000},
            batch=batch or {},
        )
        command = [str(Path(sys.executable).with_name("cairn-edge")), "run", "--verbose", "--dir", str(home)]
        with log.open("wb") as stderr:
            started_s = time.time_ns() / 1e9
            agent = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                preexec_fn=None if cores is None else (lambda: os.sched_setaffinity(0, cores)),  # noqa: PLW1509
            )
        status: dict[str, object] = {}
        keeper, total = 0.0, 0.0
        while agent.poll() is None:
            time.sleep(0.25)
            seen = _status(home)
            processes = seen.get("processes", [])
            if isinstance(processes, list) and seen.get("is_running"):
                rss = {each["name"]: each["rss_kib"] / 1024 for each in processes}
                if rss.get("vision", 0):
                    # Settled values: each overwrites the one before.
                    keeper, total = rss["keeper"], sum(rss.values())
        out, _ = agent.communicate()
        if agent.returncode != 0:
            raise RuntimeError(f"the agent ended with status {agent.returncode}: {log.read_text()[-2_000:]}")
        told, status = json.loads(out), _status(home)
        begun, over = _moment(log, "vision_ready"), _moment(log, "vision_over")
        return Run(
            fps=told["frames"] / (over - begun),
            status=status,
            keeper_rss_mib=round(keeper, 1),
            total_rss_mib=round(total, 1),
            first_signed_s=_moment(log, "envelopes_signed") - started_s,
            people=told["people"],
        )

    def _raw_fps(self, cores: set[int] | None) -> float:
        """Frames a second of ``session.run`` alone, in a process of its own with the agent's session options."""
        program = f"import bench_edge; print(bench_edge.raw_fps({str(self._model)!r}, {_RAW_S}))"
        outcome = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=None if cores is None else (lambda: os.sched_setaffinity(0, cores)),
        )
        return float(outcome.stdout.splitlines()[-1])


def raw_fps(model: str, lasting_s: float) -> float:
    """Return how often a second the model runs on one tensor, with nothing around it."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    tensor = {session.get_inputs()[0].name: np.full((1, 3, 416, 416), 114, np.float32)}
    for _ in range(10):
        session.run(None, tensor)
    began_s, runs = time.perf_counter(), 0
    while time.perf_counter() - began_s < lasting_s:
        session.run(None, tensor)
        runs += 1
    return runs / (time.perf_counter() - began_s)


def _status(home: Path) -> dict[str, object]:
    try:
        loaded: dict[str, object] = json.loads((home / "status.json").read_text())
    except (OSError, ValueError):
        return {}
    return loaded


def _moment(log: Path, event: str) -> float:
    """Return when ``event`` first stood in the log, in seconds since 1970."""
    for line in log.read_text().splitlines():
        if f"event='{event}'" in line:
            stamp = line.split("timestamp='", 1)[1].split("'", 1)[0]
            return datetime.fromisoformat(stamp).timestamp()
    raise RuntimeError(f"{event} is not in the log: {log.read_text()[-1_000:]}")


def _frames(video: Path) -> Iterator[np.ndarray]:
    reading = cv2.VideoCapture(str(video))
    while True:
        is_read, frame = reading.read()
        if not is_read:
            return
        yield frame


def _cut(video: Path, clip: Path, *, first: int, frames: int) -> None:
    """Write ``frames`` frames of ``video`` from ``first`` on to ``clip``."""
    writer: cv2.VideoWriter | None = None
    for number, frame in enumerate(_frames(video)):
        if number >= first + frames:
            break
        if number >= first:
            if writer is None:
                writer = cv2.VideoWriter(
                    str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, (frame.shape[1], frame.shape[0])
                )
            writer.write(frame)
    if writer is not None:
        writer.release()


def _per_frame_message(number: int, detector: Detector, frame: np.ndarray) -> tuple[str, int]:
    """What publishers that know no tracks send, and how many boxes are in it."""
    boxes = [
        {
            "label": class_name(each.class_id),
            "confidence": round(each.confidence_ppm / 1e6, 4),
            "box": list(each.box_px),
        }
        for each in detector.detect(frame)
        if each.confidence_ppm >= 300_000
    ]
    told = {"timestamp": round(1_800_000_000 + number / 10, 3), "detections": boxes}
    return json.dumps(told), len(boxes)
