"""Numbers that are not pictures: one seam, one module a family of drivers, each chosen by one word of the settings."""
