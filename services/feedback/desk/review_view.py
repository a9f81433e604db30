"""What the review page shows, made from a draft and what an agent did to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.citing import marks
from services.feedback.desk.marks import Run, runs
from services.feedback.desk.words import marked
from services.feedback.differing import Piece, differences
from services.feedback.edits import Lock, Opened
from services.feedback.reading_mails import Exchanged, Newest, Sibling
from shared.envelope import Frozen
from shared.records import Check, DocumentVersion, Passage, Source

REASONS: tuple[tuple[str, str], ...] = (
    ("missing-information", marked("Il manque une information")),
    ("wrong-source", marked("La source citée n'est pas la bonne")),
    ("wrong-tone", marked("Le ton ne convient pas")),
    ("invented", marked("Une affirmation est inventée")),
    ("outdated", marked("L'information est périmée")),
    ("other", marked("Autre raison (précisez)")),
)
ATTACHMENTS: dict[str, str] = {
    "read": marked("texte lu"),
    "unreadable": marked("illisible : ouvrez-la dans votre messagerie"),
    "unchecked": marked("non examinée : ouvrez-la dans votre messagerie"),
    "too-large": marked("trop volumineuse pour être lue ici"),
}
OUTCOMES: dict[str, str] = {
    "waiting": marked("brouillon en attente"),
    "approved": marked("réponse approuvée"),
    "edited": marked("réponse corrigée puis approuvée"),
    "rejected": marked("brouillon rejeté"),
    "withdrawn": marked("brouillon retiré"),
    "unused": marked("réponse envoyée sans le brouillon"),
    "pending": marked("en cours de traitement"),
    "declined": marked("sans brouillon : les documents ne répondent pas"),
    "skipped": marked("message écarté"),
}
REPLIES: dict[str, str] = {
    "approved": marked("remise à la messagerie, pas encore partie"),
    "sent": marked("envoyée"),
    "failed": marked("envoi impossible"),
    "doubtful": marked("envoi incertain : vérifiez dans votre messagerie"),
}

Standing = Literal["current", "outdated", "removed"]


class PassageView(Frozen):
    """A passage; ``wrong``: an agent said so; ``added``: an agent cited it."""

    passage: Passage
    wrong: bool = False
    added: bool = False


class SourceView(Frozen):
    """A numbered source; ``used``: its [n] stands in the text."""

    source: Source
    passages: tuple[PassageView, ...]
    used: bool
    standing: Standing
    audience: str
    collection: str


class ReviewView(Frozen):
    """Everything around the text field; ``holder`` is another agent's lock."""

    opened: Opened
    text: str
    runs: tuple[Run, ...]
    sources: tuple[SourceView, ...]
    others: tuple[PassageView, ...]
    unknown: tuple[int, ...]
    warnings: tuple[Check, ...]
    passed: tuple[Check, ...]
    difference: tuple[Piece, ...]
    thread: tuple[Exchanged, ...]
    siblings: tuple[Sibling, ...]
    holder: Lock | None

    @property
    def writable(self) -> bool:
        """Whether the viewer may work on the draft now."""
        return self.opened.draft.status == "waiting" and self.holder is None

    @property
    def revision(self) -> int:
        """Of the text that is shown."""
        return self.opened.edit.revision if self.opened.edit else 0

    @property
    def changed(self) -> bool:
        """Whether the text is another than the draft's."""
        return any(piece.kind != "same" for piece in self.difference)

    @property
    def newer(self) -> Sibling | None:
        """A draft of the same e-mail that came later and waits."""
        own = self.opened.draft.data.request_id
        later = (s for s in self.siblings if s.request_id > own and s.status == "waiting")
        return next(later, None)

    @property
    def later(self) -> Exchanged | None:
        """The newest e-mail of the conversation, if it came after this one."""
        received = self.opened.draft.data.mail.received
        return next((m for m in self.thread if m.received > received), None)


def view_of(
    viewer: Viewer,
    opened: Opened,
    newest: Mapping[UUID, Newest],
    thread: Sequence[Exchanged],
    siblings: Sequence[Sibling],
    typed: str | None = None,
) -> ReviewView:
    """The page of a draft; ``typed`` stands in for the text kept, when that was refused."""
    text = opened.text if typed is None else typed
    used = marks(text)
    sources = tuple(_source(source, opened, newest, used) for source in opened.sources)
    numbers = {view.source.number for view in sources}
    shown = {p.passage.passage_id for view in sources for p in view.passages}
    ready = opened.draft.ready
    checks = ready.checks if ready else ()
    lock = opened.lock
    return ReviewView(
        opened=opened,
        text=text,
        runs=runs(text, numbers),
        sources=sources,
        others=tuple(_passage(p, opened) for p in opened.passages if p.passage_id not in shown),
        unknown=tuple(sorted(used - numbers)),
        warnings=tuple(check for check in checks if not check.passed),
        passed=tuple(check for check in checks if check.passed and check.detail),
        difference=differences(opened.draft.text, text),
        thread=tuple(thread),
        siblings=tuple(s for s in siblings if s.draft_id != opened.draft.draft_id),
        holder=lock if lock and lock.account != viewer.account else None,
    )


def _source(
    source: Source, opened: Opened, newest: Mapping[UUID, Newest], used: frozenset[int]
) -> SourceView:
    own = [p for p in opened.passages if p.passage_id in source.passage_ids]
    now = newest.get(source.document_id)
    standing: Standing = "current"
    if now is not None and now.state == "removed":
        standing = "removed"
    elif source.document_id in opened.draft.outdated or _is_newer(now, source.version):
        standing = "outdated"
    return SourceView(
        source=source,
        passages=tuple(_passage(p, opened) for p in own),
        used=source.number in used,
        standing=standing,
        audience=own[0].audience if own else "public",
        collection=own[0].collection if own else "",
    )


def _is_newer(now: Newest | None, version: DocumentVersion) -> bool:
    newer = now is not None and now.state == "indexed" and now.submitted > version.submitted
    return newer and now is not None and now.sha256 != version.sha256


def _passage(passage: Passage, opened: Opened) -> PassageView:
    edit, review = opened.edit, opened.draft.review
    known = edit.added if edit else review.added if review else ()
    wrong = edit.wrong if edit else review.review.wrong_passages if review else ()
    return PassageView(
        passage=passage,
        wrong=passage.passage_id in wrong,
        added=any(p.passage_id == passage.passage_id for p in known),
    )
