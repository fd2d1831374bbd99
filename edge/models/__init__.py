"""Models: whose word they are, how they come, and which one runs.

*Light*, for the process that holds the key: ``download``, ``errands``, ``errors``, ``fetching``, ``keeper``,
``offers``, ``rollout``, ``trust``, ``versions``. *Heavy*, for who loads models: ``opening``, ``store``, ``shipped``, ``trial``,
``draw_selftest``. The manifests that ship with the agent lie here too.
"""
