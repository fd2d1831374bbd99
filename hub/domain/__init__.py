"""The hub's rules, pure: admission, judging, the epoch schedule. No clock, no file, no database."""
