"""The hub's log: append-only CAR segments that are archive and evidence at once (see protocol.logbook)."""
