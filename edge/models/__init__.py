"""Models: whose word they are, how they come, and which one runs.

For the process that holds the key, light: ``choice``, ``errands``, ``errors``, ``fetching``, ``keeper``, ``keeping``,
``offers``, ``own``, ``rollout``, ``trust``, ``versions``. For who loads models: ``draw_selftest``, ``opening``,
``shipped``, ``store``, ``trial``. For who asks strangers: ``download``, ``fetch``. The manifests that ship with the
agent lie here too.
"""
