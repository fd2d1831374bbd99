"""The page a device shows of itself on its first day: a small process of its own, without key, camera or network.

It reads ``status.json`` and serves it to a browser. It binds to this machine, and ends once the device is adopted,
unless the owner wants otherwise (``[status_page]`` in cairn.toml).
"""
