"""What logs and metrics say, and what they must not: no text of an e-mail at ``info``."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from shared import telemetry
from shared.delivery import Invalid, Unavailable
from shared.identifiers import identifiers
from tests.samples import document_events, events

ALL = (*events(), *document_events())

SECRET = "Madame Lefèvre demande un prêt"
PROGRAM = f"""
import logging
import structlog
from shared import telemetry
from shared.settings import Log

telemetry.configure(Log(level=%r), "ingest")
log = structlog.get_logger()
structlog.contextvars.bind_contextvars(event_id="e1", mail_id="m1", trace_id="t1")
log.info("handled", outcome="ack")
try:
    try:
        raise KeyError("{SECRET}")
    except KeyError as error:
        raise RuntimeError("{SECRET}") from error
except RuntimeError as error:
    log.error("failed", error=error, exc_info=True)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
logging.getLogger("asyncio").info("too fine")
"""


def lines(level: str) -> list[dict[str, str]]:
    """What a process logs at ``level``; each line must be JSON."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % level], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_json_and_names_mail_event_and_trace() -> None:
    handled, failed, foreign = lines("info")
    assert handled["event"] == "handled"
    for line in (handled, failed, foreign):
        assert (line["mail_id"], line["event_id"], line["trace_id"]) == ("m1", "e1", "t1")
        assert line["service"] == "ingest"
        assert line["timestamp"].endswith("Z")
    assert (foreign["logger"], foreign["level"]) == ("uvicorn.error", "error")


def test_errors_of_others_are_told_by_type_and_place_only() -> None:
    _, failed, foreign = lines("info")
    assert failed["error"].startswith("RuntimeError in <module>, ")
    for line in (failed, foreign):
        assert "KeyError" in line["exception"]
        assert "RuntimeError" in line["exception"]
        assert SECRET not in json.dumps(line, ensure_ascii=False)


def test_debug_tells_all() -> None:
    assert any(SECRET in line.get("exception", "") for line in lines("debug"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("PostgreSQL is down"), "Unavailable: PostgreSQL is down"),
        (Invalid("no such object"), "Invalid: no such object"),
        (ValueError(SECRET), "ValueError"),
    ],
)
def test_words_of_an_error(error: Exception, told: str) -> None:
    assert telemetry.words(error) == told


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_refusals_are_counted_by_reason_and_drafts_by_their_time() -> None:
    by_type = {event.type: event for event in ALL}
    declined = by_type["sourcier.draft.declined.v1"]
    late = declined.model_copy(update={"time": declined.data.mail.received + timedelta(seconds=7)})
    names = ("sourcier.mail.skipped.v1", "sourcier.document.rejected.v1")
    keys = [
        (name, getattr(by_type[name].data, field))
        for name, field in zip(names, ("reason", "code"), strict=True)
    ]
    keys.append((declined.type, declined.data.why))
    before = [value("sourcier_refusals_total", type=t, reason=r) for t, r in keys]
    seconds = value("sourcier_draft_seconds_sum", outcome="declined")
    for event in (*(by_type[name] for name in names), late):
        telemetry.said(event)
    assert [value("sourcier_refusals_total", type=t, reason=r) for t, r in keys] == [
        count + 1 for count in before
    ]
    assert value("sourcier_draft_seconds_sum", outcome="declined") == pytest.approx(seconds + 7)


def test_identifiers_are_ids_only() -> None:
    for event in ALL:
        assert set(identifiers(event)) <= {"mail_id", "document_id", "draft_id"}
    ready = next(e for e in ALL if e.type == "sourcier.draft.ready.v1")
    assert identifiers(ready) == {
        "mail_id": str(ready.data.mail.mail_id),
        "draft_id": str(ready.data.draft_id),
    }
