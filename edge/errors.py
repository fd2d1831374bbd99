"""The root of every error family of the agent."""


class EdgeError(Exception):
    """Something the owner can act on: the message is a sentence that says what is wrong and what to do."""


class SettingsError(EdgeError):
    """The settings are missing, misspelt or impossible; the message says which and what to do."""
