"""E-mails, passages and engines for the tests of generate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.adapters.extractive_engine import ExtractiveEngine
from services.generate.adapters.openai_engine import OpenAiEngine
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import DraftRequest, Form
from services.generate.grounding import Gate
from services.generate.prompting import of_passages, of_sentences
from services.generate.ranking import SentenceScorer, rank
from services.generate.service import Engine, GenerateService, Rules
from services.generate.verifying import Verifier
from shared.delivery import Unavailable
from shared.events import ContextRetrieved, ContextRetrievedData
from shared.identity import document_id, passage_id, sha256, stable_id
from shared.model_settings import ModelProfile
from shared.records import (
    Address,
    DocumentVersion,
    MailBlock,
    Message,
    Passage,
    PassageScores,
)
from tests.samples import AT

STUDY = (
    "Le programme cofinance l'étude préalable à hauteur de 50 % de son coût hors taxes. "
    "Le plafond de l'aide est de 40 000 € par projet. Une étude déjà payée n'est pas financée."
)
WORKS = (
    "Aucun travail ne doit commencer avant la notification écrite de l'accord. "
    "Les travaux commencent dans les 18 mois qui suivent cet accord."
)
QUESTIONS = ("L'étude préalable de notre école est-elle financée ?",)


def passage(text: str, name: str = "etudes", ordinal: int = 0, **fields: object) -> Passage:
    """A passage of the document ``name``."""
    document = document_id("default", name)
    version = DocumentVersion(submitted=AT, sha256=sha256(name.encode()))
    values: dict[str, object] = {
        "passage_id": passage_id(document, version.sha256, ordinal),
        "document_id": document,
        "version": version,
        "title": f"Fiche {name}",
        "url": f"https://programme.example/{name}",
        "heading_path": ("Financement",),
        "start": 0,
        "end": len(text),
        "text": text,
        "scores": PassageScores(fused=0.5),
        "questions": (0,),
    }
    return Passage.model_validate(values | fields)


def mail(questions: Sequence[str] = QUESTIONS, **fields: object) -> MailBlock:
    """An e-mail that asks ``questions``."""
    values: dict[str, object] = {
        "mail_id": stable_id("mail", *questions),
        "mailbox": "default",
        "thread_id": stable_id("thread"),
        "sender": Address(address="accueil@mairie.example"),
        "subject": "Étude",
        "received": AT,
        "new_text": "Bonjour,\n" + "\n".join(questions),
        "questions": tuple(questions),
        "raw_key": "mails/default/x.eml",
    }
    return MailBlock.model_validate(values | fields)


def context(
    block: MailBlock,
    passages: Sequence[Passage],
    evidence: float = 0.8,
    question_evidence: Sequence[float] = (),
) -> ContextRetrieved:
    """The event that retrieve says."""
    data = ContextRetrievedData(
        mail=block,
        passages=tuple(passages),
        evidence=evidence,
        question_evidence=tuple(question_evidence),
        embedding="e1",
        retrieval="r1",
        timings={"retrieve": 0.01},
    )
    return ContextRetrieved.make(
        source="retrieve",
        subject=str(block.mail_id),
        time=AT,
        id=stable_id("context", str(block.mail_id)),
        data=data,
    )


def request(
    passages: Sequence[Passage], block: MailBlock | None = None, instruction: str = ""
) -> DraftRequest:
    """A draft to write, all questions answerable."""
    block = block or mail()
    questions = tuple(range(len(block.questions)))
    return DraftRequest(block, tuple(passages), questions, instruction)


def prompt_of(
    asked: DraftRequest, form: Form = "parts", tokens: int = 6000, *, examples: bool = False
) -> tuple[Message, ...]:
    """The messages of a prompt; in the form ``select`` sentences are ranked by words."""
    if form == "select":
        layout = of_sentences(asked, asyncio.run(rank(asked, WordScorer())), tokens)
    else:
        layout = of_passages(asked, form, tokens)
    return PromptFiles(form, examples=examples).messages(layout)


def extractive(scorer: SentenceScorer | None = None) -> ExtractiveEngine:
    """The extractive engine, comparing by words in common unless ``scorer`` says otherwise."""
    return ExtractiveEngine(scorer or WordScorer(), PromptFiles())


def engine_at(url: str, form: Form = "parts", **settings: Any) -> OpenAiEngine:
    """The openai engine at ``url``; it tries again without long pauses."""
    own = {name: settings.pop(name) for name in ("scorer", "watcher") if name in settings}
    of_profile = {k: settings.pop(k) for k in list(settings) if k in ModelProfile.model_fields}
    values = {"model": "m", "timeout": 5.0, "backoff": (0.01, 0.01)} | settings
    return OpenAiEngine(
        ChatClient(Endpoint(url=url, **values)),
        ModelProfile(form=form, **of_profile),
        own.get("scorer") or WordScorer(),
        own.get("watcher"),
    )


class WordScorer:
    """Cosines from shared words: deterministic, and no model to load."""

    def __init__(self) -> None:
        self.compared = 0

    async def cosines(
        self, questions: Sequence[str], sentences: Sequence[str]
    ) -> list[list[float]]:
        self.compared += len(sentences)
        return [[self._cosine(q, s) for s in sentences] for q in questions]

    @staticmethod
    def _cosine(question: str, sentence: str) -> float:
        left, right = set(question.lower().split()), set(sentence.lower().split())
        return 0.7 + 0.3 * len(left & right) / max(1, len(left))


class NearScorer(WordScorer):
    """Cosines where those of multilingual-e5 lie, for what is fitted to them."""

    @staticmethod
    def _cosine(question: str, sentence: str) -> float:
        return 0.8 + (WordScorer._cosine(question, sentence) - 0.7) / 2


class NoScorer:
    """embed is down."""

    async def cosines(
        self, questions: Sequence[str], sentences: Sequence[str]
    ) -> list[list[float]]:
        raise Unavailable("nobody answers query.embed.v1")


async def service(engine: Engine | None = None, **rules: object) -> GenerateService:
    """The use case with the extractive engine, or with ``engine``, started."""
    engine = engine or extractive()
    await engine.start()
    values = {"min_evidence": 0.5, "signatures": {"default": "Le guichet"}} | rules
    return GenerateService(
        engines={engine.name: engine},
        default=engine.name,
        gate=Gate(NearScorer(), 0.3),
        verifier=Verifier(WordScorer()),
        rules=Rules(**values),  # type: ignore[arg-type]  # keyword arguments of a test
        clock=lambda: datetime(2026, 11, 4, tzinfo=UTC),
        timer=iter(range(1000)).__next__,
    )
