"""Drafts of a model, and what agents made of them: by hand, or through the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.feedback.access import SYSTEM
from services.feedback.adapters.dataset_files import DatasetFolder, ParentFolder, described
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.records import ReviewWish, StoredDraft, StoredReview
from services.feedback.service import FeedbackService
from services.feedback.training.card import card, manifest
from services.feedback.training.exporting import Plan, export
from services.feedback.training.pairs import Row, Wish
from services.generate.citations import numbers, sources
from services.generate.rendering import render
from services.generate.wording import closing, greeting
from shared.clock import utcnow
from shared.events import DraftReady, DraftReadyData, ReviewRecordedData
from shared.identity import stable_id
from shared.postgres import Pool
from shared.records import Address, Fingerprints, MailBlock, Message, Part
from tests.fakes.drafting import STUDY, WORKS, mail, passage, prompt_of, request
from tests.samples import AT

HELLO, BYE = greeting("fr", ""), closing("fr", "Le service instructeur")
PASSAGES = (
    passage(f"{STUDY} (0)", "etudes", 0),
    passage(f"{STUDY} (1)", "etudes", 1),
    passage(WORKS, "travaux"),
)
FIRST, SECOND, THIRD = (p.passage_id for p in PASSAGES)
PARTS = (
    Part(text="Le programme cofinance l'étude préalable à hauteur de 50 %.", citations=(FIRST,)),
    Part(text="Aucun travail ne doit commencer avant l'accord écrit.", citations=(THIRD,)),
)
REWRITTEN = f"{HELLO}\n\nL'étude est financée à 50 % [1].\n\nAttendez l'accord écrit [2].\n\n{BYE}"


def draft(
    parts: tuple[Part, ...] = PARTS,
    block: MailBlock | None = None,
    engine: str = "openai",
    status: str = "waiting",
    detail: str = "",
    messages: tuple[Message, ...] | None = None,
    minutes: int = 0,
) -> StoredDraft:
    """A draft of a model as generate would say it."""
    block = block or mail()
    found = sources(parts, PASSAGES)
    ready = DraftReadyData(
        mail=block,
        draft_id=uuid4(),
        passages=PASSAGES,
        messages=prompt_of(request(PASSAGES, block)) if messages is None else messages,
        engine=engine,
        fingerprints=Fingerprints(model="m", prompt="p", embedding="e", retrieval="r"),
        raw_output='{"parts": []}',
        greeting=HELLO,
        parts=parts,
        closing=BYE,
        text=render(HELLO, parts, BYE, numbers(found)),
        sources=found,
    )
    return StoredDraft(
        draft_id=ready.draft_id,
        outcome="draft",
        status=status,
        status_detail=detail,
        created=AT + timedelta(minutes=minutes),
        ready=ready,
    )


def reviewed(
    one: StoredDraft, decision: str, text: str | None = None, added: Any = (), **fields: Any
) -> StoredDraft:
    """The draft as an agent decided on it."""
    data = ReviewRecordedData.model_validate(
        {
            "mailbox": "default",
            "review_id": uuid4(),
            "draft_id": one.draft_id,
            "mail_id": one.data.mail.mail_id,
            "decision": decision,
            "final_text": one.text if text is None else text,
            "edit_distance": 7,
            "reviewer": "relecteur-1",
            **fields,
        }
    )
    own = {s.document_id for s in one.ready.sources} if one.ready else set()
    new = [p.document_id for p in added if p.document_id not in own]
    known = {document: len(own) + n for n, document in enumerate(dict.fromkeys(new), start=1)}
    review = StoredReview(created=AT, review=data, added=tuple(added), numbers=known)
    return one.model_copy(update={"status": decision, "review": review})


PEOPLE = ("Karim Benali", "Nathalie Garnier", "Jean-Luc Petit", "Sophie Marchand")


def letter(mailbox: str, number: int) -> MailBlock:
    """An e-mail of a person, with a telephone number and a signature."""
    name = PEOPLE[number % len(PEOPLE)]
    local = name.lower().replace(" ", ".")
    question = f"L'étude préalable de notre école n° {number} est-elle financée ?"
    text = (
        f"Bonjour,\n\n{question} Appelez-moi au 06 12 34 5{number % 10} 78.\n\n"
        f"Cordialement,\n{name}\nVille de Lyon"
    )
    return mail(
        (question,),
        mail_id=stable_id("mail", mailbox, str(number)),
        thread_id=stable_id("thread", mailbox, str(number)),
        mailbox=mailbox,
        sender=Address(address=f"{local}@mairie-{number}.example", name=name),
        new_text=text,
    )


async def seed(pool: Pool, mailbox: str, mails: int, first: int = 0) -> list[UUID]:
    """``mails`` e-mails in ``mailbox`` with a draft each, edited, approved, rejected in turn."""
    service = FeedbackService(PostgresDrafts(pool), utcnow, lambda: None)
    made = []
    for number in range(first, first + mails):
        block = letter(mailbox, number)
        one = draft(block=block)
        assert one.ready is not None
        event = DraftReady.make(
            source="generate",
            subject=str(block.mail_id),
            time=AT,
            data=one.ready,
            id=stable_id("event", str(one.draft_id)),
        )
        await service.record_draft(event)
        await service.review(SYSTEM, one.draft_id, decided(number))
        made.append(one.draft_id)
    return made


def decided(number: int) -> ReviewWish:
    """An edit that names the correspondent, or every fifth time an approval or a rejection."""
    if number % 5 == 3:
        return ReviewWish(decision="approved")
    if number % 5 == 4:
        return ReviewWish(decision="rejected", reasons=("invented",))
    name = PEOPLE[number % len(PEOPLE)]
    text = (
        f"Bonjour {name},\n\nOui, {name}, l'étude de l'école n° {number} est financée à 50 % [1]."
        f"\n\nCordialement,\nLe service"
    )
    return ReviewWish(decision="edited", final_text=text)


async def written(
    folder: Path, mails: int, test: float = 0.0, messages: tuple[Message, ...] | None = None
) -> dict[str, Any]:
    """An export of ``mails`` e-mails as the program writes it, persons left as they are.

    ``messages``: prompts of one's own, in place of generate's.
    """
    made = [letter("default", number) for number in range(mails)]
    drafts = [draft(block=block, messages=messages) for block in made]
    edited = [reviewed(each, "edited", REWRITTEN) for each in drafts]
    plan = Plan(Wish(), "sourcier", 0.0, test, "none")
    folder.mkdir()  # noqa: ASYNC240 - a test's own folder
    output = DatasetFolder(folder, plan.wish.kinds)

    async def replace(rows: Sequence[Row]) -> list[dict[str, Any]]:
        return [{**row.values, "replaced": []} for row in rows]

    tally = await export(_Some(edited), ParentFolder(None), output, replace, plan, _told)
    output.close()
    found = manifest(1, AT, plan, tally, described(folder), None, None, "test")
    (folder / "README.md").write_text(card(found))
    return found


class _Some:
    """Drafts of as many e-mails, in memory."""

    def __init__(self, drafts: Sequence[StoredDraft]) -> None:
        self._drafts = sorted(drafts, key=lambda d: str(d.data.mail.mail_id))

    async def count(self) -> int:
        return len(self._drafts)

    async def mails(self) -> AsyncIterator[Sequence[StoredDraft]]:
        for each in self._drafts:
            yield [each]


async def _told(_mails: int) -> None:
    return None
