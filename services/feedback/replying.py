"""From a review to the reply that leaves: to whom, in which thread, with which references. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from services.feedback.citing import marks
from services.feedback.records import StoredDraft
from shared.events import ReplyApprovedData, ReviewRecordedData
from shared.identity import stable_id
from shared.records import MailBlock, Passage, Reference, Source

SUBJECT_MOST = 500
"""Characters of a reply's subject; what is over would only fill headers."""
THREAD_MOST = 50
"""Message-IDs of the thread that a reply names, the last ones (RFC 5322 lets senders cut)."""
_REPLY_PREFIX = re.compile(r"^\s*(?:re|ré|rép|aw)\s?:", re.IGNORECASE)


def reply_of(
    review: ReviewRecordedData,
    draft: StoredDraft,
    sources: Sequence[Source],
    passages: Sequence[Passage],
    public_url: str | None,
) -> ReplyApprovedData:
    """The reply to send, with the references that its text still cites.

    ``sources`` and ``passages`` are the draft's and the agent's; ``public_url`` is where readers
    reach the public pages of sources, if they do.
    """
    mail = draft.data.mail
    used = marks(review.final_text)
    by_id = {passage.passage_id: passage for passage in passages}
    return ReplyApprovedData(
        mailbox=mail.mailbox,
        reply_id=stable_id("reply", str(review.review_id)),
        mail_id=mail.mail_id,
        draft_id=draft.draft_id,
        recipients=(mail.reply_to or mail.sender,),
        subject=_reply_subject(mail),
        in_reply_to=mail.message_id,
        thread_references=_thread(mail),
        text=review.final_text,
        references=tuple(
            _reference(source, _of(source, by_id, review.wrong_passages), public_url)
            for source in sources
            if source.number in used
        ),
    )


def _of(source: Source, by_id: dict[UUID, Passage], wrong: Sequence[UUID]) -> tuple[Passage, ...]:
    """The source's passages, first those that a reader is to see: right, and of its version."""
    found = [by_id[passage] for passage in source.passage_ids if passage in by_id]
    found.sort(key=lambda p: (p.passage_id in wrong, p.version != source.version))
    return tuple(found)


def _reference(source: Source, passages: Sequence[Passage], public_url: str | None) -> Reference:
    # A source that is not public is named without a link that its reader could not open.
    public = {passage.audience for passage in passages} == {"public"}
    shown = passages[0] if passages else source
    return Reference(
        number=source.number,
        title=source.title,
        url=_link(source, passages, public_url) if public else None,
        page=shown.page,
        heading=shown.heading_path[-1] if shown.heading_path else None,
    )


def _link(source: Source, passages: Sequence[Passage], public_url: str | None) -> str | None:
    if public_url is None:
        return source.url
    first = passages[0]
    page = f"{public_url.rstrip('/')}/sources/{first.document_id}/{first.version.sha256[:16]}"
    return f"{page}?p={first.start}-{first.end}#passage"


def _reply_subject(mail: MailBlock) -> str:
    known = _REPLY_PREFIX.match(mail.subject)
    return (mail.subject if known else f"Re: {mail.subject}".rstrip())[:SUBJECT_MOST]


def _thread(mail: MailBlock) -> tuple[str, ...]:
    own = (mail.message_id,) if mail.message_id else ()
    return (*mail.references, *own)[-THREAD_MOST:]
