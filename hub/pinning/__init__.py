"""Keeping published files available: the Pinner seam and the stores behind it."""
