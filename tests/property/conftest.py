"""How properties are searched: without a clock, because a busy machine is not a failure, and with a way to repeat."""

from hypothesis import settings

settings.register_profile("cairn", deadline=None, print_blob=True)
settings.load_profile("cairn")
