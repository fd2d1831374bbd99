"""The detector that comes with the simulator, trained by firmware_sim/training; its accuracy is in cairn-tiny.json."""

from pathlib import Path

CAIRN_TINY = Path(__file__).with_name("cairn-tiny.onnx")
CAIRN_TINY_MANIFEST = Path(__file__).with_name("cairn-tiny.toml")
