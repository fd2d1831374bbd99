"""The root of every error family of the agent."""


class EdgeError(Exception):
    """Something the owner can act on: the message is a sentence that says what is wrong and what to do."""
