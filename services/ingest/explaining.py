"""What was read of an e-mail and what follows from it, in words for an operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from itertools import islice

from services.ingest.mail_service import Registration
from services.ingest.mime import Address, Mail
from services.ingest.questions import bare_subject
from services.ingest.skipping import correspondent_of
from services.ingest.threads import Strand
from services.ingest.triage import Sorted
from shared.categories import Triage
from shared.newtext.segments import segments

MAX_PARTS = 60
MAX_SEGMENT_LINES = 12
MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and lines below it."""

    title: str
    lines: tuple[str, ...]


def of_headers(mail: Mail) -> Section:
    """Who writes to whom about what, and which e-mails it names."""
    told = (
        ("From", _addresses([mail.sender])),
        ("Reply-To", _addresses(mail.reply_to)),
        ("To and Cc", _addresses(mail.recipients)),
        ("Correspondent", correspondent_of(mail)),
        ("Subject", mail.subject),
        ("Date", mail.date.isoformat() if mail.date else "none that can be read"),
        ("Message-ID", mail.message_id),
        ("In-Reply-To", mail.in_reply_to),
        ("References", " ".join(mail.references[-MAX_NAMED:])),
    )
    return Section("Headers", tuple(f"{name}: {value or 'none'}" for name, value in told))


def of_parts(raw: bytes, mail: Mail) -> Section:
    """The MIME parts as they are declared, the attachments as they were read, what was guessed."""
    message = BytesParser(policy=compat32).parsebytes(raw)
    lines = [_part(part) for part in islice(message.walk(), MAX_PARTS)]
    for each in mail.attachments[:MAX_NAMED]:
        lines.append(f"attached: {each.name or 'no name'}, {each.media_type}, {each.size} bytes")
    if mail.sealed:
        lines.append(f"encrypted: {mail.sealed}")
    if mail.calendar:
        lines.append(f"invitation: {mail.calendar}")
    lines.append(f"text: {'made from HTML' if mail.html else 'plain'}, {len(mail.text)} characters")
    lines += [f"mended: {defect}" for defect in mail.defects]
    return Section("Parts", tuple(lines))


def of_text(mail: Mail) -> Section:
    """Every segment of the text: its label, whether it counts as new, and how it begins."""
    lines: list[str] = []
    for segment in segments(mail.text):
        kept = "new text" if segment.visible else "left out"
        lines.append(f"[{segment.label}] {kept}")
        lines += (f"    {line}" for line in _beginning(segment.text))
    return Section("Text", tuple(lines) or ("no text",))


def of_questions(questions: Iterable[str], language: str) -> Section:
    """What the e-mail asks."""
    lines = [f"language: {language}"]
    lines += (f"{n}. {' '.join(text.split())}" for n, text in enumerate(questions, start=1))
    return Section("Questions", tuple(lines))


def of_thread(strand: Strand, subject: str, found: Registration | str) -> Section:
    """What tells the thread, and the thread; `found` says why it is not known, when it is not."""
    lines = [
        f"answers: {' '.join(strand.related[-MAX_NAMED:]) or 'no e-mail that it names'}",
        f"subject compared: {bare_subject(subject) or 'none'}"
        f" ({'a reply' if strand.reply else 'no reply'})",
        f"people compared: {len(strand.people)}, our own addresses excepted",
    ]
    if isinstance(found, str):
        return Section("Thread", (*lines, f"not looked up: {found}"))
    new = found.thread_id in (strand.thread_id, strand.own_thread_id) and not found.earlier
    lines.append(f"thread: {found.thread_id} ({'begins here' if new else 'known'})")
    lines += (f"before it: e-mail {identity}" for identity in found.earlier)
    return Section("Thread", tuple(lines))


def of_triage(config: Triage, found: Sorted | str) -> Section:
    """The category with the confidence of each; `found` says why there is none to tell."""
    if isinstance(found, str):
        return Section("Category", (f"not sorted: {found}",))
    if not config.categories:
        return Section("Category", ("no categories are configured ([triage] in sourcier.toml)",))
    lines = [f"{share:5.0%} {name}" for name, share in found.confidence.items()]
    name = found.name or "none"
    if found.fallback:
        lines.append(f"category: {name}, the fallback: no category reaches its threshold")
    else:
        lines.append(f"category: {name}")
    if found.category is not None:
        lines.append(f"draft: {'yes' if found.category.draft else 'no'}")
        lines.append(f"collections: {_list(found.category.collections, 'those of the mailbox')}")
        style = (found.category.length, found.category.tone)
        lines.append(f"style: {_list([each for each in style if each], 'that of the mailbox')}")
    return Section("Category", tuple(lines))


def _part(part: Message) -> str:
    declared = part.get_param("charset", "")
    charset = f", charset {declared}" if isinstance(declared, str) and declared else ""
    encoding = str(part.get("content-transfer-encoding", "")).strip()
    return f"part: {part.get_content_type()}{charset}{f', {encoding}' if encoding else ''}"


def _addresses(found: Iterable[Address]) -> str:
    shown = list(islice(found, MAX_NAMED))
    return ", ".join(f"{one.name} <{one.address}>" if one.name else one.address for one in shown)


def _beginning(text: str) -> Iterator[str]:
    filled = [line for line in text.splitlines() if line.strip()]
    yield from filled[:MAX_SEGMENT_LINES]
    if len(filled) > MAX_SEGMENT_LINES:
        yield f"… {len(filled) - MAX_SEGMENT_LINES} more lines"


def _list(values: Iterable[str], otherwise: str) -> str:
    return ", ".join(values) or otherwise
