"""Who the device is, and whose: its key, its starts, its adoption, and how it goes on under another key."""
