"""Says how an e-mail is read: `python -m services.ingest.explain FILE.eml [--mailbox M]`.

Every decision that ingest would take, in its order; nothing is sent, stored or remembered. Thread
and category need a running stack: without it the rest is told. `sourcier mails explain` runs this.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.text import Text

from services.ingest import explaining
from services.ingest.explaining import Section
from services.ingest.mail_reading import MAX_TEXT
from services.ingest.mail_service import Registration
from services.ingest.mime import Mail, MailLimits, UnreadableMail, read_mail
from services.ingest.questions import find_questions, language
from services.ingest.skipping import skip_reason
from services.ingest.threads import strand_of
from services.ingest.triage import Sorted, Sorter, undrafted
from shared.cli.client import connected
from shared.cli.plain import lines
from shared.cli.problem import Problem
from shared.delivery import Unavailable
from shared.identity import LOOP_HEADER, mail_id
from shared.newtext.visible import new_text
from shared.queries import EmbedAnswer
from shared.settings import Mailbox, Settings

INGEST_URL = "SOURCIER_INGEST_URL"
DUPLICATE = "duplicate: this e-mail, or its Message-ID from the same sender, came before"


def explain(raw: bytes, name: str, settings: Settings) -> Iterator[Section]:
    """The decisions about `raw` in mailbox `name`, as ingest would take them now."""
    config, mailbox = settings.ingest, settings.mailboxes[name]
    limits = MailLimits(
        max_bytes=config.mail_max_bytes,
        max_parts=config.mail_max_parts,
        max_depth=config.mail_max_depth,
    )
    try:
        mail = read_mail(raw, limits)
    except UnreadableMail as refusal:
        yield _outcome(f"skipped as unreadable: {refusal.reason_fr}")
        return
    yield explaining.of_headers(mail)
    yield explaining.of_parts(raw, mail)
    yield explaining.of_text(mail)
    text = new_text(mail.text)[:MAX_TEXT]
    skip = skip_reason(mail, text, mailbox.addresses, LOOP_HEADER)
    if skip is not None:
        yield _outcome(f"skipped as {skip.code}: {skip.reason_fr}")
        return
    questions = find_questions(mail.subject, text)
    yield explaining.of_questions(questions, language(text))
    if not questions:
        yield _outcome("skipped as empty: nothing is asked")
        return
    yield from _looked_up(raw, mail, text, name, mailbox, settings)


def _looked_up(
    raw: bytes, mail: Mail, text: str, name: str, mailbox: Mailbox, settings: Settings
) -> Iterator[Section]:
    identity = mail_id(name, raw)
    strand = strand_of(mail, name, identity, mailbox.addresses)
    registered = _registration(raw, name)
    yield explaining.of_thread(strand, mail.subject, registered)
    found = asyncio.run(_category(mail.subject, text, settings))
    yield explaining.of_triage(settings.triage, found)
    if isinstance(registered, Registration) and registered.outcome == "duplicate":
        yield _outcome(f"skipped as {DUPLICATE}")
    elif isinstance(registered, Registration) and registered.outcome == "limit":
        yield _outcome("skipped as limit: too many e-mails of this sender within an hour")
    elif isinstance(found, Sorted) and found.category and not found.category.draft:
        yield _outcome(f"skipped as category: {undrafted(found)}")
    elif isinstance(registered, str) or isinstance(found, str):
        yield _outcome(f"e-mail {identity}: a draft, unless what was not looked up forbids it")
    else:
        yield _outcome(f"accepted as e-mail {identity}: a draft is made")


def _registration(raw: bytes, mailbox: str) -> Registration | str:
    url = os.environ.get(INGEST_URL, "").rstrip("/")
    if not url:
        return f"no stack is running; start it with `sourcier up`, or set {INGEST_URL}"
    try:
        path, asked = f"{url}/v1/mails/preview", {"mailbox": mailbox}
        answer = httpx.post(path, params=asked, content=raw, timeout=30)
    except httpx.HTTPError as error:
        return f"ingest does not answer ({error!r}); see `sourcier status`"
    if not answer.is_success:
        return f"ingest refuses ({answer.status_code}): {answer.text[:500]}"
    return TypeAdapter(Registration).validate_json(answer.content)


async def _category(subject: str, text: str, settings: Settings) -> Sorted | str:
    if not settings.triage.categories:
        return Sorted()
    try:
        async with connected(settings) as client:
            sorter = Sorter(settings.triage, lambda query: client.ask(query, EmbedAnswer))
            return await sorter.sort(subject, text)
    except (Problem, Unavailable) as error:
        return f"embed is not reachable ({error}); in a running system the e-mail waits for it"


def _outcome(told: str) -> Section:
    return Section("Outcome", (told,))


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.ingest.explain", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("file", type=Path, help="an e-mail (.eml)")
    parser.add_argument("--mailbox", default="default", help="the mailbox it would arrive in")
    given = parser.parse_args(arguments)
    try:
        settings = Settings()
        raw = given.file.read_bytes()
    except ValidationError as error:
        return _failed(f"the configuration is wrong: {error}")
    except OSError as error:
        return _failed(f"{given.file} cannot be read: {error.strerror}")
    if given.mailbox not in settings.mailboxes:
        known = ", ".join(sorted(settings.mailboxes))
        return _failed(f"no mailbox {given.mailbox!r} in sourcier.toml; there is: {known}")
    console = Console(soft_wrap=True, highlight=False)
    with suppress(BrokenPipeError):
        for section in explain(raw, given.mailbox, settings):
            console.print(Text(section.title, style="bold"))
            for line in section.lines:
                console.print(Text("  ").append_text(lines(line)))
    return 0


def _failed(told: str) -> int:
    Console(stderr=True).print(lines(told, "red"), soft_wrap=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
