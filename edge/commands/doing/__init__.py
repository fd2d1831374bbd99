"""The commands that look at pictures or run a model: imported when they are run, see ``edge.commands.words.later``."""
