"""Logs (structlog) and metrics (Prometheus) of every service."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram

from shared import settings

HANDLED = Counter("sourcier_handled_total", "Messages finished, by outcome", ["stage", "outcome"])
HELD = Counter("sourcier_held_total", "Waits for a dependency that was down", ["stage"])
IN_HAND = Gauge("sourcier_in_hand", "Messages being worked on", ["stage"])
PENDING = Gauge("sourcier_pending", "Messages waiting in the stream", ["stage"])
SECONDS = Histogram(
    "sourcier_handler_seconds",
    "Time of one run of a handler",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
SAID = Counter("sourcier_said_total", "Events published", ["type"])


def configure(config: settings.Log, service: str) -> None:
    """Send logs to standard error, as JSON lines or for a person's eyes."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if config.format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[config.level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
