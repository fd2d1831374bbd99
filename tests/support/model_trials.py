"""Trials that end as no trial should, by the name of the file: ``python -m tests.support.model_trials dies.onnx``."""

import os
import signal
import sys
import time
from pathlib import Path

ways = Path(sys.argv[1]).stem
if ways == "dies":
    os.kill(os.getpid(), signal.SIGSEGV)
elif ways == "hangs":
    time.sleep(600)
elif ways == "mutters":
    sys.stdout.write("fine, I think\n")
elif ways == "leaves":
    sys.exit(3)
