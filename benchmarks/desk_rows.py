"""Rows of a busy desk: one realistic draft, written as often as asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared import events as e
from shared import records as r
from shared.identity import sha256

WORDS = (
    "Le programme finance l'étude préalable des écoles publiques à hauteur de cinquante pour cent. "
)
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
NOBODY = UUID(int=0)
VERSION = r.DocumentVersion(submitted=NOON, sha256=sha256(b"x"))


def base() -> tuple[dict[str, Any], dict[str, Any]]:
    """A mail block and a draft's data, of the size that real ones have."""
    mail = _mail()
    parts = (
        r.Part(text=WORDS.strip(), citations=(UUID(int=1),)),
        r.Part(text="Le solde est versé à la remise du rapport.", citations=(UUID(int=2),)),
    )
    draft = e.DraftReadyData(
        mail=mail,
        draft_id=NOBODY,
        passages=tuple(map(_passage, range(8))),
        evidence=0.8,
        messages=(
            r.Message(role="system", content=WORDS * 10),
            r.Message(role="user", content=WORDS * 60),
        ),
        checks=(r.Check(name="appui", passed=True), r.Check(name="langue", passed=True)),
        engine="openai",
        fingerprints=r.Fingerprints(model="m", prompt="p", embedding="e", retrieval="r"),
        raw_output=WORDS * 3,
        greeting="Bonjour,",
        parts=parts,
        closing="Cordialement,\nLe guichet",
        text=f"Bonjour,\n\n{parts[0].text} [1]\n\n{parts[1].text} [2]\n\nCordialement,\nLe guichet",
        sources=tuple(map(_source, (1, 2))),
    )
    return mail.model_dump(mode="json"), draft.model_dump(mode="json")


def _mail() -> r.MailBlock:
    return r.MailBlock(
        mail_id=NOBODY,
        mailbox="box-0",
        thread_id=NOBODY,
        message_id="<1@mairie.example>",
        sender=r.Address(address="jeanne.martin@mairie.example", name="Jeanne Martin"),
        subject="Étude préalable",
        received=NOON,
        new_text="Bonjour,\n\n" + WORDS * 4 + "\nEst-ce exact ?\n\nJeanne Martin, 01 99 00 10 20",
        questions=("Est-ce exact ?",),
        raw_key="mails/box-0/1.eml",
    )


def _passage(number: int) -> r.Passage:
    return r.Passage(
        passage_id=UUID(int=number),
        document_id=UUID(int=100 + number),
        version=VERSION,
        title=f"Document {number}",
        url=f"https://programme.example/{number}",
        heading_path=("Financement", "Études"),
        start=0,
        end=900,
        text=WORDS * 10,
        scores=r.PassageScores(fused=0.5, dense=0.8, bm25=7.0),
    )


def _source(number: int) -> r.Source:
    return r.Source(
        number=number,
        document_id=UUID(int=100 + number),
        version=VERSION,
        title=f"Document {number}",
        passage_ids=(UUID(int=number),),
    )


MAILS = """
insert into feedback.mails (mail_id, mailbox, thread_id, message_id, sender, sender_name, subject,
    received, accepted, outcome, draft_id, decided, block, category)
select id, 'box-' || n % 10, md5('t' || n)::uuid, '<' || n || '@mairie.example>',
    'jeanne.martin' || n % 500 || '@mairie.example', 'Jeanne Martin', 'Étude préalable ' || n,
    at, true, 'draft', md5('d' || n)::uuid, at,
    $2::jsonb || jsonb_build_object('mail_id', id, 'thread_id', md5('t' || n)::uuid,
        'mailbox', 'box-' || n % 10),
    'cat-' || n % 6
from (select n, md5('m' || n)::uuid as id, now() - n * interval '90 seconds' as at
      from generate_series(1, $1::int) n) x
"""
DRAFTS = """
insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id, text,
    evidence, engine, created, cited, category, pipeline, data)
select m.draft_id, m.mail_id, m.mailbox, 'draft',
    case when $2 then 'edited' when hash % 5 = 0 then 'waiting' when hash % 5 = 1 then 'edited'
         when hash % 5 = 2 then 'rejected' else 'approved' end,
    0, $1::jsonb ->> 'text', 0.8, 'openai', m.received + interval '40 seconds',
    array[md5('c' || hash % 50)::uuid], m.category, 'm · p · e · r',
    $1::jsonb || jsonb_build_object('draft_id', m.draft_id, 'mail', m.block)
        || case when hash % 7 = 0 then '{"checks": [{"name": "a", "passed": false, "detail": ""}]}'
           else '{}' end::jsonb
from (select *, abs(hashtext(mail_id::text)) as hash from feedback.mails) m
"""
REVIEWS = """
insert into feedback.reviews (review_id, draft_id, decision, created, data, mailbox, edit_distance,
    words_changed, reasons, reviewer, seconds)
select md5('r' || draft_id)::uuid, draft_id, 'edited', created + interval '20 minutes',
    jsonb_build_object('mailbox', mailbox, 'review_id', md5('r' || draft_id)::uuid,
        'draft_id', draft_id, 'mail_id', mail_id, 'decision', 'edited',
        'final_text', replace(text, 'Le solde est versé',
            'Pour Madame Martin (jeanne.martin@mairie.example), le solde est versé'),
        'edit_distance', 60, 'reasons', '[]'::jsonb, 'citations_kept',
        jsonb_build_array('00000000-0000-0000-0000-000000000001'), 'reviewer', 'p-benchmark',
        'seconds', 60),
    mailbox, 60, 8, '{}', 'p-benchmark', 60
from feedback.drafts
"""
