"""Pictures of a camera that may hang, brought by a process that may be killed."""
