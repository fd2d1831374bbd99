"""Numbers that are not pictures: one seam, one module a driver, chosen by one word (``open_sensor``)."""
