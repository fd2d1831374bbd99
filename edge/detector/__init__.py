"""Finding things in one frame: the detector seam, the model manifest, and the YOLOX adapter."""
