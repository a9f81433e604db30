"""Users × roles × mailboxes × endpoints, from the application's own route table: 0 leaks.

Routes that are added are covered as they come: nothing here names one, except how to fill in
parameters whose name says too little (``KNOWN``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from services.feedback.access import Role, Viewer
from services.feedback.desk.guards import PUBLIC, is_public
from services.feedback.desk.middleware import HEADERS
from services.feedback.desk.parts import Desk
from services.feedback.records import ReviewWish
from shared.document_events import DocumentIndexed
from shared.events import DraftReady, MailAccepted, MailSkipped
from shared.identity import stable_id
from shared.objects import S3Objects
from shared.records import Attachment
from shared.settings import Objects, Settings
from tests import samples
from tests.contract.desk_app import (
    account,
    application,
    client,
    config,
    csrf_of,
    program,
    sign_in,
)
from tests.contract.desk_routes import Probe, guard_of, probes, routes_of

CANARY = "CANARI-4711"
"""Stands in everything that belongs to the mailbox ``default``."""
EVENTS = {type(event): event for event in samples.events()}
MAIL = samples.MAIL.model_copy(
    update={
        "subject": f"{CANARY} objet",
        "new_text": f"{CANARY} question ?",
        "thread_id": uuid4(),
        "attachments": (
            Attachment(
                name=f"{CANARY}.txt",
                media_type="text/plain",
                size=11,
                state="read",
                text_key="mails/default/attached.txt",
            ),
        ),
        "sender": samples.MAIL.sender.model_copy(update={"name": f"{CANARY} nom"}),
    }
)
PASSAGE = samples.PASSAGE.model_copy(
    update={"title": f"{CANARY} titre", "text": f"{CANARY} passage", "audience": "interne"}
)
BLOCK = samples.BLOCK.model_copy(
    update={"title": f"{CANARY} titre", "name": f"{CANARY}.md", "audience": "interne"}
)
KNOWN = {
    "draft_id": str(samples.DRAFT),
    "mail_id": str(MAIL.mail_id),
    "passage_id": str(PASSAGE.passage_id),
    "passage": str(PASSAGE.passage_id),
    "document_id": str(samples.DOCUMENT),
    "sha": samples.VERSION.sha256[:16],
    "mailbox": "default",
    "collection": "default",
    "audience": "interne",
    "after": str(samples.DRAFT),
    "text": f"{CANARY} réponse [1].",
    "final_text": f"{CANARY} réponse [1].",
    "question": CANARY,
    "q": CANARY,
    "attachment": "0",
    "name": "drafts",
    "account": "nobody",
    "reason": "invented",
    "reasons": "invented",
    "export_id": str(uuid4()),
    "number": "1",
    "version": "1",
}
EVERY_ROLE: set[Role] = {"agent", "curator", "data"}
SINGLE: tuple[Role, ...] = ("agent", "curator", "data")
PATIENCE = 10.0
"""Seconds after which an answer counts as one that goes on for ever (live pages)."""


@pytest.fixture
async def app(
    postgres_dsn: str, s3: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FastAPI]:
    extra = [account(f"only-{role}", {role}, {"default"}) for role in SINGLE]
    extra += [
        account("ailleurs", EVERY_ROLE, {"autre"}),
        account("dedans", EVERY_ROLE, {"default"}),
    ]
    monkeypatch.setattr("tests.contract.desk_app.ACCOUNTS", (*extra, account("rien", set(), None)))
    database = await asyncpg.connect(postgres_dsn)
    tables = [row["t"] for row in await database.fetch(_TABLES) if row["t"] != "feedback.audit"]
    await database.execute(f"truncate {', '.join(tables)} cascade")
    await database.execute(_EXPORT, KNOWN["export_id"])
    await database.execute(_DATASET)
    await database.close()
    settings = config(postgres_dsn, tmp_path).model_copy(update={"objects": s3})
    async with application(settings) as built:
        await _seed(built, settings)
        yield built


async def _seed(app: FastAPI, settings: Settings) -> None:
    """A mail, drafts, a review and a document of ``default``; one draft of ``autre``."""
    feedback = cast(Desk, app.state.desk).feedback
    store = S3Objects(settings.objects)
    await store.put(BLOCK.original_key, b"# CANARI-4711", "text/markdown")
    await store.put(BLOCK.text_key, _TEXT.encode(), "application/json")
    await store.put("mails/default/attached.txt", CANARY.encode(), "text/plain")
    assert MAIL.raw_key
    await store.put(MAIL.raw_key, samples.RAW, "message/rfc822")
    accepted, ready = EVENTS[MailAccepted], EVENTS[DraftReady]
    indexed, skipped = EVENTS[DocumentIndexed], EVENTS[MailSkipped]
    await feedback.record_mail(_with(accepted, mail=MAIL))
    draft = _with(ready, mail=MAIL, passages=(PASSAGE,), text=f"{CANARY} brouillon [1].")
    await feedback.record_draft(draft)
    await feedback.record_document(_with(indexed, document=BLOCK))
    await feedback.record_skipped(
        _with(skipped, mail_id=uuid4(), subject=f"{CANARY} écarté", mailbox="default")
    )
    for mailbox, mark in (("default", CANARY), ("autre", "visible")):
        mail = MAIL.model_copy(
            update={
                "mail_id": uuid4(),
                "thread_id": uuid4(),
                "mailbox": mailbox,
                "subject": mark,
                "new_text": mark,
                "sender": samples.MAIL.sender,
            }
        )
        other = _with(ready, mail=mail, draft_id=uuid4(), text=f"{mark} texte [1].")
        await feedback.record_draft(other)
        if mailbox == "default":
            wish = ReviewWish(decision="edited", final_text=f"{CANARY} corrigé [1].")
            review = await feedback.review(INSIDE, other.data.draft_id, wish)
            reply = stable_id("reply", str(review.review.review_id))
            app.state.known = KNOWN | {"reply_id": str(reply)}


INSIDE = Viewer(
    account="dedans",
    name="Dedans",
    roles=frozenset({"agent"}),
    mailboxes=frozenset({"default"}),
    audiences=frozenset({"public", "interne"}),
    pseudonym="p-dedans",
)
_TEXT = '{"text": "CANARI-4711 passage", "pages": []}'
# That it runs keeps the probes from starting others.
_EXPORT = """
insert into feedback.exports (export_id, account, mailboxes, wish, state, started, seen)
values ($1, 'dedans', '{default}', '{"kinds": ["dpo"]}', 'running', now(), now())
"""
_DATASET = """
insert into feedback.datasets (version, created, account, prefix, manifest) values
    (1, now(), 'dedans', 'datasets/v1/', '{"configuration": {"mailboxes": ["default"]}}')
"""
_TABLES = """
select format('%I.%I', schemaname, tablename) t from pg_tables
where schemaname = 'feedback' and tablename <> 'schema_migrations'
"""


def _with(event: Any, **changes: Any) -> Any:
    time = samples.AT + timedelta(minutes=1)
    return event.model_copy(
        update={"data": event.data.model_copy(update=changes), "id": uuid4(), "time": time}
    )


class State:
    """What the database holds, beside sessions and the audit, to see that nothing changed."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database

    async def now(self) -> dict[str, str]:
        own = ("sessions", "login_links", "audit")
        tables = [
            row["t"]
            for row in await self._database.fetch(_TABLES)
            if row["t"].split(".")[1] not in own
        ]
        sums = "select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {} t"
        return {t: await self._database.fetchval(sums.format(t)) for t in tables}


@pytest.fixture
async def state(postgres_dsn: str) -> AsyncIterator[State]:
    database = await asyncpg.connect(postgres_dsn)
    yield State(database)
    await database.close()


async def ask(browser: httpx.AsyncClient, probe: Probe) -> httpx.Response | None:
    """The answer, whose headers are right; None for one that goes on for ever."""
    asking = browser.request(probe.method, probe.path, **probe.options())
    try:
        answer = await asyncio.wait_for(asking, PATIENCE)
    except TimeoutError:
        return None
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value or name in ALLOWED_TO_DIFFER, (str(probe), name)
    assert answer.status_code != 500, (str(probe), answer.text)
    return answer


async def refused(browser: httpx.AsyncClient, probe: Probe, status: int) -> httpx.Response:
    """The answer, which must be ``status``."""
    told = await ask(browser, probe)
    assert told is not None, f"{probe} goes on for ever"
    assert told.status_code == status, (str(probe), told.status_code, told.text[:300])
    assert CANARY not in told.text, str(probe)
    return told


ALLOWED_TO_DIFFER = {"Content-Security-Policy"}
"""A download may be closed even more tightly; that there is one is checked with the rest."""


def test_every_route_names_a_guard_or_is_public(app: FastAPI) -> None:
    for route in routes_of(app):
        guarded = guard_of(route.dependant) is not None
        assert guarded != is_public(route.path), f"{route.path}: one guard, or public, not both"
    others = [r for r in app.routes if type(r) is Route or isinstance(r, Mount)]
    assert {getattr(r, "path", "") for r in others} <= {"/static", *PUBLIC}


async def test_without_a_login_nothing_is_told(app: FastAPI, state: State) -> None:
    before = await state.now()
    asked = 0
    async with client(app) as nobody, client(app, Accept="text/html") as person:
        for probe in probes(app, app.state.known):
            if probe.public:
                continue
            told = await refused(nobody, probe, 401)
            assert told.headers["content-type"] == "application/problem+json"
            if probe.template.startswith("/v1/"):
                await refused(person, probe, 401)
            else:
                seen = await refused(person, probe, 303)
                assert seen.headers["location"].startswith("/login"), str(probe)
            asked += 1
    async with program(app, "unknown") as stranger:
        for probe in (p for p in probes(app, app.state.known) if not p.public):
            await refused(stranger, probe, 401)
    assert asked > 20
    assert await state.now() == before


async def test_without_the_role_nothing_is_told(app: FastAPI, state: State) -> None:
    before = await state.now()
    asked = 0
    for name, roles in [("rien", set()), *((f"only-{r}", {r}) for r in SINGLE)]:
        async with program(app, name) as asking:
            for probe in probes(app, app.state.known):
                if not probe.roles or roles & set(probe.roles):
                    continue
                await refused(asking, probe, 403)
                asked += 1
    assert asked > 40
    assert await state.now() == before


async def test_without_the_token_of_the_page_nothing_changes(app: FastAPI, state: State) -> None:
    async with client(app, Accept="text/html") as person:
        await sign_in(person, "dedans")
        token = csrf_of(await person.get("/desk/account"))
        before = await state.now()
        asked = 0
        for probe in probes(app, app.state.known):
            if not probe.changes:
                continue
            for headers in (
                {},
                {"X-CSRF-Token": "wrong"},
                {"X-CSRF-Token": ""},
                {"X-CSRF-Token": token, "Origin": "https://elsewhere.example"},
                {"X-CSRF-Token": token, "Origin": "null"},
                {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"},
                {"X-CSRF-Token": token, "Sec-Fetch-Site": "same-site"},
            ):
                person.headers.update(headers)
                await refused(person, probe, 403)
                for name in headers:
                    del person.headers[name]
            asked += 1
        assert asked > 10
        assert await state.now() == before
        assert (await person.get("/desk/account")).status_code == 200, "and nobody was signed out"


async def test_of_another_mailbox_nothing_is_told_and_nothing_changes(
    app: FastAPI, state: State
) -> None:
    objects, leaks = 0, []
    async with program(app, "ailleurs") as elsewhere:
        for probe in probes(app, app.state.known):
            if "admin" in (probe.roles or ()):
                continue
            before = await state.now() if probe.ids else {}
            # A page repeats what was searched for: so only the beginning of what it may not tell.
            searched = {k: v.replace(CANARY, CANARY[:6]) for k, v in probe.query.items()}
            for query in (searched, probe.needed):
                told = await ask(elsewhere, replace(probe, query=query))
                if told is None:
                    assert not probe.ids, str(probe)
                    break
                # What was asked for may stand in the answer, as in a search box.
                if (at := told.text.find(CANARY)) >= 0:
                    leaks.append(f"{probe} {query} tells: {told.text[max(at - 150, 0) : at + 100]}")
                if probe.ids and told.status_code != 404:
                    leaks.append(f"{probe} answers {told.status_code}: {told.text[:300]}")
            if probe.ids:
                if await state.now() != before:
                    leaks.append(f"{probe} changes something")
                objects += 1
    assert not leaks, "\n".join(leaks)
    assert objects > 10


async def test_the_same_requests_succeed_from_within(app: FastAPI) -> None:
    """Else the tests above would prove nothing: the ids they use are real."""
    async with program(app, "dedans") as within:
        found = sorted(probes(app, app.state.known), key=lambda probe: probe.changes)
        for probe in found:
            if probe.public or "admin" in (probe.roles or ()) or not probe.ids:
                continue
            if "version" in probe.ids:  # tests/contract/test_export.py makes real ones
                continue
            told = await ask(within, replace(probe, query=probe.needed))
            if told is None:
                continue
            allowed = {200, 201, 202, 204, 303, 409, 422, 503} if probe.changes else {200, 503}
            assert told.status_code in allowed, (str(probe), told.status_code, told.text[:500])
