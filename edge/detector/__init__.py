"""Finding things in one frame: the detector, its runners and decoders, and the model manifest."""
