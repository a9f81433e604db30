"""Which class reads an event ``type``: the published contract in one list."""

from __future__ import annotations

from contextlib import suppress

from pydantic import ValidationError

from shared import document_events as documents
from shared import events
from shared.delivery import Invalid
from shared.envelope import Event, Frozen

CONTRACT: tuple[type[Event], ...] = (
    events.MailReceived,
    events.MailAccepted,
    events.MailSkipped,
    events.MailEmbedded,
    events.ContextRetrieved,
    events.DraftReady,
    events.DraftDeclined,
    events.DraftRequested,
    events.DraftWithdrawn,
    events.ReviewRecorded,
    events.ReplyApproved,
    events.ReplySent,
    events.ReplyFailed,
    events.ReplyDoubtful,
    documents.MailErased,
    documents.DocumentSubmitted,
    documents.DocumentChunked,
    documents.DocumentEmbedded,
    documents.DocumentIndexed,
    documents.DocumentRejected,
    documents.DocumentRemoved,
    documents.MessageDead,
)
BY_TYPE: dict[str, type[Event]] = {kind.TYPE: kind for kind in CONTRACT}


class _Header(Event):
    """Just enough of an event to choose its class."""

    type: str
    data: Frozen


def decode(body: bytes) -> Event:
    """The event in ``body``.

    Raises ``Invalid`` when it is no JSON, no CloudEvent, of an unknown type or version, or
    breaks its schema; the reason names the first wrong fields.
    """
    try:
        name = _Header.model_validate_json(body).type
        kind = BY_TYPE.get(name)
        if kind is None:
            known = sorted(BY_TYPE)
            raise Invalid(f"unknown event type or version {name!r}; known: {', '.join(known)}")
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Invalid(explain(error)) from error


def expected(kind: type[Event], body: bytes) -> Event:
    """The event of ``kind`` in ``body``; raises ``Invalid`` also for a good one of another kind."""
    with suppress(ValidationError):  # most are good: read once, not first for the type
        event = kind.model_validate_json(body)
        if "type" in event.model_fields_set:
            return event
    raise Invalid(f"{decode(body).type} on the subject of {kind.TYPE}")


def explain(error: ValidationError) -> str:
    """The first problems of a validation error in one line, without the offending values."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in problems[:5]]
    return "; ".join(told)
