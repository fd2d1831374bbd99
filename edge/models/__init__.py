"""Model files: the manifests that ship with the agent, the device's model store, and how a file becomes a detector."""
