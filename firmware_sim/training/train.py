"""Train cairn-tiny and write it: ONNX file, model manifest, self-test picture, and its measured accuracy.

The same arguments on the same machine and torch build give the same file. Talk on stderr, the accuracy as one
JSON object on stdout.
"""

# mypy: allow-untyped-calls, disable-error-code="import-not-found, no-any-return"

import argparse
import copy
import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from firmware_sim.training.network import TinyDetector
from firmware_sim.training.samples import CLASSES, TRAIN_SEEDS, Sample, samples
from firmware_sim.training.shipping import ship
from firmware_sim.training.targets import loss_of, target_of
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX

_PER_WORLD = 50
_WORLDS_AT_ONCE = 16  # so that one batch holds many streets
_BATCH = 10
_PEAK_RATE = 4e-3
_REMEMBERED = 1_500
_BUSY_PASSES_PER_MINUTE = (8.0, 16.0, 32.0)


def shuffled(first_seed: int) -> Iterator[Sample]:
    """Yield every frame of the stream twice, the second time much later: drawing costs as much as learning."""
    dice = np.random.default_rng(first_seed + 1)
    seen: list[Sample] = []
    for fresh in stream(first_seed):
        yield fresh
        if len(seen) < _REMEMBERED:
            seen.append(fresh)
            continue
        index = int(dice.integers(_REMEMBERED))
        again, seen[index] = seen[index], fresh
        yield _mirrored(again)


def stream(first_seed: int) -> Iterator[Sample]:
    """Yield training frames for ever, neighbours from different worlds, every second one mirrored."""
    fresh = (
        samples(seed, _PER_WORLD, passes_per_minute=_BUSY_PASSES_PER_MINUTE[seed % 3])
        for seed in range(first_seed, TRAIN_SEEDS.stop)
    )
    open_worlds = deque(islice(fresh, _WORLDS_AT_ONCE))
    dice = np.random.default_rng(first_seed)
    while True:
        world = open_worlds.popleft()
        found = next(world, None)
        if found is None:
            open_worlds.append(next(fresh))
            continue
        open_worlds.append(world)
        yield _mirrored(found) if dice.random() < 0.5 else found


def _mirrored(sample: Sample) -> Sample:
    boxes = sample.boxes_px.copy()
    boxes[:, [0, 2]] = FRAME_WIDTH_PX - boxes[:, [2, 0]]
    return replace(sample, frame_bgr=np.ascontiguousarray(sample.frame_bgr[:, ::-1]), boxes_px=boxes)


def train(*, seed: int, frames: int, bf16: bool) -> TinyDetector:
    """Return the detector after ``frames`` training pictures (averaged weights), in eval mode."""
    torch.manual_seed(seed)
    # This memory layout is a quarter faster on CPUs.
    network = TinyDetector(len(CLASSES)).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    steps = frames // _BATCH
    optimiser = torch.optim.AdamW(network.parameters(), lr=_PEAK_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=steps, pct_start=0.1)
    source = shuffled(TRAIN_SEEDS.start + seed * 10_000)
    for step in range(steps):
        batch = list(islice(source, _BATCH))
        pixels = torch.from_numpy(np.stack([each.frame_bgr for each in batch]))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = network(pixels.permute(0, 3, 1, 2).float())
        loss = loss_of(output.float(), [target_of(each) for each in batch])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        _follow(average, network, min(0.995, (1 + step) / (10 + step)))
        if step % 100 == 0:
            sys.stderr.write(f"step {step} of {steps}: loss {loss.item():.3f}\n")
    return average.eval()


def _follow(average: TinyDetector, network: TinyDetector, keep: float) -> None:
    """Move the averaged weights a little towards the trained ones."""
    with torch.no_grad():
        for kept, fresh in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(fresh, 1 - keep)
            else:
                kept.copy_(fresh)


def export(network: TinyDetector, path: Path) -> None:
    """Write the ONNX file: input ``images`` [1, 3, H, W], output ``output`` [1, N, 5 + classes]."""
    pixels = torch.zeros(1, 3, FRAME_HEIGHT_PX, FRAME_WIDTH_PX)
    torch.onnx.export(
        network,
        (pixels,),
        str(path),
        input_names=["images"],
        output_names=["output"],
        opset_version=17,
        dynamo=False,  # the newer exporter needs a further package and writes the same graph
    )


def main() -> int:
    """Train, export, judge and write; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m firmware_sim.training.train",
        description=__doc__,
        epilog="example: python -m firmware_sim.training.train --out firmware_sim/models --frames 40000",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that receives cairn-tiny.*")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and worlds, 0..98 (default 1)")
    parser.add_argument("--frames", type=int, default=40_000, help="training pictures (default 40000)")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16: twice as fast on CPUs that have it")
    options = parser.parse_args()
    if not (0 <= options.seed <= 98 and options.frames >= _BATCH):
        parser.error("seed is 0..98, and it takes at least one batch of 10 pictures")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    export(train(seed=options.seed, frames=options.frames, bf16=options.bf16), options.out / "cairn-tiny.onnx")
    report = ship(options.out, training={"seed": options.seed, "frames": options.frames, "bf16": options.bf16})
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
