"""Errands that end as none should: ``python tests/support/model_trials.py dies``."""

import os
import signal
import sys
import time

ways = sys.argv[1]
if ways == "dies":
    os.kill(os.getpid(), signal.SIGSEGV)
elif ways == "hangs":
    time.sleep(600)
elif ways == "mutters":
    sys.stdout.write("fine, I think\n")
elif ways == "leaves":
    sys.exit(3)
