"""From a model's output tensors to boxes, one decoder for each layout of edge/detector/layouts.py. Pure numpy."""
