"""What is kept of an agent's work on a waiting draft, and who may do it. Pure."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.feedback.citing import numbers_with, own_sources, sources_of
from services.feedback.errors import Conflict, Term
from services.feedback.records import Status, StoredDraft
from shared.envelope import Frozen
from shared.records import Passage, Source


class Edit(Frozen):
    """What was typed and chosen so far; ``account`` typed last.

    ``revision`` counts the texts saved; ``numbers`` holds the [n] of added documents; ``wrong``
    are passages that do not say what the draft makes of them, or should not be found.
    """

    draft_id: UUID
    account: str
    text: str
    added: tuple[Passage, ...] = ()
    numbers: dict[UUID, int] = Field(default_factory=dict)
    wrong: tuple[UUID, ...] = ()
    revision: int = 0
    updated: AwareDatetime


class Lock(Frozen):
    """Who works on a draft: since when, and until when at the latest unless it goes on."""

    draft_id: UUID
    account: str
    name: str
    since: AwareDatetime
    expires: AwareDatetime


class Opened(Frozen):
    """A draft as an agent finds it: ``sources`` and ``passages`` with the added ones.

    ``lock`` is the viewer's own, another's (then the draft may only be read), or none. ``left`` is
    what was being typed here when a text that was sent elsewhere decided the draft.
    """

    draft: StoredDraft
    sources: tuple[Source, ...]
    passages: tuple[Passage, ...]
    edit: Edit | None = None
    lock: Lock | None = None
    left: str | None = None

    @property
    def text(self) -> str:
        """What stands in the text field: what was typed, else what was sent, else the draft."""
        if self.edit:
            return self.edit.text
        review = self.draft.review
        return review.review.final_text if review else self.draft.text


class Held(Conflict):
    """Another agent works on the draft; ``lock`` tells who and until when."""

    def __init__(self, lock: Lock, now: datetime) -> None:
        minutes = max(1, round((lock.expires - now).total_seconds() / 60))
        super().__init__(
            "{name} travaille sur ce brouillon, qui lui est réservé pour encore {minutes} min"
            " au plus. Attendez, ou prenez la main : ce qui est déjà saisi est gardé.",
            name=lock.name,
            minutes=minutes,
        )
        self.lock = lock


class Overwritten(Conflict):
    """The text was saved elsewhere since it was read; ``edit`` is what is there now."""

    def __init__(self, edit: Edit | None) -> None:
        super().__init__(
            "Ce texte a été modifié dans une autre fenêtre ou par une autre personne depuis que"
            " vous l'avez ouvert : votre saisie n'est pas enregistrée. Copiez-la, puis rechargez"
            " la page."
        )
        self.edit = edit


class Hold(Frozen):
    """A wish for a draft's lock: ``force`` takes it from whoever has it."""

    draft_id: UUID
    now: AwareDatetime
    expires: AwareDatetime
    force: bool = False


class Kept(Frozen):
    """A draft with what agents do to it: ``lock`` is the one in force, ``worked`` the seconds for
    which it was the viewer's, None when it never was; ``removed`` are those of its documents that
    were taken away."""

    draft: StoredDraft
    edit: Edit | None = None
    lock: Lock | None = None
    worked: float | None = None
    removed: frozenset[UUID] = frozenset()


def opened(kept: Kept) -> Opened:
    """The draft as the page shows it; a decided one with the passages that were added then."""
    draft, review = kept.draft, kept.draft.review
    # What was typed on a draft that a text sent elsewhere decided is no part of that decision.
    edit = None if review else kept.edit
    added = edit.added if edit else review.added if review else ()
    numbers = edit.numbers if edit else review.numbers if review else {}
    given = {passage.passage_id for passage in draft.data.passages}
    return Opened(
        draft=draft,
        sources=sources_of(draft, added, numbers),
        passages=(*draft.data.passages, *(p for p in added if p.passage_id not in given)),
        edit=edit,
        lock=kept.lock,
        left=kept.edit.text if review and kept.edit else None,
    )


def untouched(draft: StoredDraft, account: str, now: datetime) -> Edit:
    """The edit of a draft that nobody changed yet."""
    return Edit(draft_id=draft.draft_id, account=account, text=draft.text, updated=now)


def with_passage(draft: StoredDraft, edit: Edit, passage: Passage) -> Edit:
    """``edit`` with ``passage`` among those that may be cited, and a number for its document."""
    cited = {known for source in own_sources(draft) for known in source.passage_ids}
    if passage.passage_id in cited | {known.passage_id for known in edit.added}:
        return edit
    numbers = numbers_with(draft, edit.numbers, passage.document_id)
    return edit.model_copy(update={"added": (*edit.added, passage), "numbers": numbers})


def still_waiting(status: Status) -> None:
    """Raises Conflict unless a draft that stands at ``status`` may be worked on."""
    if status != "waiting":
        raise Conflict(
            "Ce brouillon {closed} : il ne peut plus être modifié. Rechargez la page.",
            closed=CLOSED[status],
        )


CLOSED: dict[Status, Term] = {
    "approved": Term("a déjà été approuvé"),
    "edited": Term("a déjà été corrigé puis approuvé"),
    "rejected": Term("a déjà été rejeté"),
    "withdrawn": Term("a été retiré"),
    "unused": Term("n'a pas servi (une réponse est partie sans lui)"),
    "waiting": Term("attend une décision"),
}
