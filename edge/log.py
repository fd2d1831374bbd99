"""How the log looks: one line an event, on stderr."""

import logging
import sys

import structlog


def configure_log(*, is_verbose: bool) -> None:
    """Send events to stderr, one line each; structlog's own default is stdout, which belongs to data."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if is_verbose else logging.INFO),
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),  # the stderr of that moment
        cache_logger_on_first_use=False,
    )
