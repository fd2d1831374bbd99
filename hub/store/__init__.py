"""The index: every table, every statement, every migration. Nothing here is a source of truth.

The segments are; `hub.reindex` rebuilds all of this from them.
"""
