"""The agent of one device."""

import os

# ONNX Runtime 1.32 comes with telemetry to its maker. Nothing of what a device does is anybody's business, and this
# must be said before the library is loaded, by whichever command.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
