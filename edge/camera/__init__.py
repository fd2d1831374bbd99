"""Where frames come from: one seam, four kinds of source, chosen by one word (``open_camera``)."""
