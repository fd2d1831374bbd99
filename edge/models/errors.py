"""The one error family of everything about models. Light: the process that holds the key imports it."""

from edge.errors import EdgeError


class ModelError(EdgeError):
    """A model file, its manifest or its answer is not what it must be; the message says what to do."""
