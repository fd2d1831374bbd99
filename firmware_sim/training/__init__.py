"""Training of cairn-tiny, the detector of the made-up town. Needs torch, which nothing else here needs.

From the repository root, in an environment of its own (minutes on one core, the same file on the same machine)::

    python3 -m venv .cairn/train && .cairn/train/bin/pip install -e '.[edge]' torch==2.13.0
    .cairn/train/bin/python -m firmware_sim.training.train --out firmware_sim/models
"""
