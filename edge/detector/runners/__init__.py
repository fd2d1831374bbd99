"""Inference runtimes behind the seam of edge/detector/runner.py."""
