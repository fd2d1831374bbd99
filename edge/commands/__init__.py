"""The commands of ``cairn-edge``, one module a group; each has ``add_to(verbs, common)``."""
