"""Submits documents and follows each until it is searchable, refused or known already."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from shared.cli.client import BusClient, Heard
from shared.cli.sending import upload
from shared.clock import utcnow
from shared.delivery import Invalid
from shared.document_events import (
    DocumentChunked,
    DocumentIndexed,
    DocumentRejected,
    DocumentSubmitted,
    DocumentSubmittedData,
    MessageDead,
)
from shared.envelope import INLINE_LIMIT
from shared.identity import document_id
from shared.registry import decode
from shared.topology import INGEST_DOCUMENT

if TYPE_CHECKING:  # it takes 0.3 s to import
    from shared.objects import ObjectStore

IN_FLIGHT = 64
"""Files submitted and not settled yet, at most."""
SILENCE = 0.25
"""Seconds without news after which we ask whether ingest has passed over something."""
PATIENCE = 600.0
"""Seconds without progress after which we stop waiting: the longest a large file takes to embed."""
State = Literal["indexed", "superseded", "unchanged", "rejected", "dead", "none"]
"""``none``: nothing was heard of it in time."""
FAILED: frozenset[State] = frozenset({"rejected", "dead", "none"})
Key = tuple[str, datetime]
"""What identifies a submission in the events it causes: its name and its time."""


@dataclass(frozen=True)
class Paper:
    """A file to submit under ``name``; ``url`` is where it is published, if anywhere."""

    path: Path
    name: str
    url: str | None = None


@dataclass(frozen=True)
class Result:
    """What became of a submitted file; ``detail`` in words when it was not taken."""

    name: str
    state: State
    document_id: str = ""
    title: str = ""
    chunks: int = 0
    code: str = ""
    detail: str = ""


@dataclass
class Submission:
    """A file on its way; ``read`` once ingest has said what it made of it."""

    paper: Paper
    sequence: int
    read: bool = False


@dataclass
class Desk:
    """Submits papers to ``collection`` for ``audience``.

    ``timeout``: seconds without progress on any of them after which the rest has no outcome.
    """

    client: BusClient
    objects: ObjectStore
    collection: str
    audience: str
    timeout: float = PATIENCE
    _waiting: dict[Key, Submission] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _moved: float = 0.0

    async def submit(self, paper: Paper) -> Result | None:
        """Say ``document.submitted``. Returns a result only for a file that cannot be taken."""
        if not _is_utf8(paper.name):
            detail = "its name is not UTF-8: rename the file, then add it again"
            return Result(paper.name, "rejected", code="file-name", detail=detail)
        try:
            content = await asyncio.to_thread(paper.path.read_bytes)
        except OSError as error:
            return Result(paper.name, "rejected", code="unreadable", detail=str(error))
        data = DocumentSubmittedData(
            collection=self.collection,
            audience=self.audience,
            name=paper.name,
            url=paper.url,
            submitted=utcnow(),
            media_type=mimetypes.guess_type(paper.name)[0],
            **await self._body(content),
        )
        subject = str(document_id(self.collection, data.locator()))
        event = DocumentSubmitted.make(
            source="cli", subject=subject, time=data.submitted, data=data, id=uuid4()
        )
        submission = Submission(paper, 0)
        self._waiting[(paper.name, data.submitted)] = submission
        submission.sequence = await self.client.say(event)
        self._moved = time.monotonic()
        return None

    async def follow(self, papers: Sequence[Paper]) -> AsyncIterator[Result]:
        """Submit all and yield each one's result as it is known.

        When nothing moves for ``timeout`` seconds, the rest gets the state ``none``.
        """
        queue = list(reversed(papers))
        async with self.client.watch(self._wanted()) as heard:
            while queue or self._waiting:
                while queue and len(self._waiting) < IN_FLIGHT:
                    if failed := await self.submit(queue.pop()):
                        yield failed
                for result in await self._news(heard):
                    self._moved = time.monotonic()
                    yield result
                if self._waiting and time.monotonic() - self._moved > self.timeout:
                    for result in self._given_up(queue):
                        yield result
                    return

    async def _news(self, heard: asyncio.Queue[Heard]) -> list[Result]:
        try:
            message = await asyncio.wait_for(heard.get(), SILENCE)
        except TimeoutError:
            return await self._unchanged()
        told = self._result(message)
        return [told] if told else []

    def _given_up(self, queue: Sequence[Paper]) -> list[Result]:
        """Those without an outcome: handed in, then not even handed in (``queue``, reversed)."""
        why = f"nothing moved for {self.timeout:.0f} s; see `sourcier status`"
        silent = [(name, f"handed in, but {why}") for name, _ in self._waiting]
        silent += [(paper.name, f"not handed in: {why}") for paper in reversed(queue)]
        self._waiting.clear()
        return [Result(name, "none", code="timeout", detail=detail) for name, detail in silent]

    def _wanted(self) -> list[tuple[str, str]]:
        said = [f"document.{verb}.v1.{self.collection}" for verb in ("indexed", "rejected")]
        return [
            *(("DOCUMENT", subject) for subject in (*said, self._chunked)),
            ("DEAD", "dead.>"),
        ]

    @property
    def _chunked(self) -> str:
        return f"document.chunked.v1.{self.collection}"

    def _result(self, message: Heard) -> Result | None:
        self._seen[message.subject] = message.sequence
        try:
            event = decode(message.body)
        except Invalid:  # not ours: what we understand is told by its type
            return None
        if isinstance(event, DocumentChunked):
            block = event.data.document
            if submission := self._waiting.get((block.name, block.version.submitted)):
                submission.read = True
                self._moved = time.monotonic()
            return None
        key, result = _told(event)
        return result if key and self._waiting.pop(key, None) else None

    async def _unchanged(self) -> list[Result]:
        """Files that ingest has finished with without a word: it knew their content already."""
        silent = {key: each for key, each in self._waiting.items() if not each.read}
        if not silent:
            return []
        done = await self.client.finished_with(INGEST_DOCUMENT.stream.name, INGEST_DOCUMENT.durable)
        for subject in (self._chunked, f"document.rejected.v1.{self.collection}"):
            last = await self.client.last_sequence("DOCUMENT", subject)
            first = min(each.sequence for each in silent.values())
            if last > first and self._seen.get(subject, 0) < last:
                return []  # what was said of them may be on its way to us
        known = [key for key, each in silent.items() if 0 < each.sequence <= done]
        for key in known:
            del self._waiting[key]
        return [Result(name, "unchanged") for name, _ in known]

    async def _body(self, content: bytes) -> dict[str, Any]:
        if len(content) <= INLINE_LIMIT:
            return {"content": base64.b64encode(content)}
        return {"key": await upload(self.objects, content)}


def _is_utf8(name: str) -> bool:
    """Whether a file's name can be written in an event; other bytes come as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _told(event: object) -> tuple[Key | None, Result | None]:
    match event:
        case DocumentIndexed(data=data):
            block = data.document
            state: State = "indexed" if data.live else "superseded"
            identity, key = str(block.document_id), (block.name, block.version.submitted)
            return key, Result(block.name, state, identity, block.title, data.count)
        case DocumentRejected(data=data):
            identity = str(data.document_id)
            result = Result(data.name, "rejected", identity, code=data.code, detail=data.detail)
            return (data.name, data.submitted), result
        case MessageDead(data=data):
            of = _key_of(data.payload)
            reason = f"{data.stage}: {data.reason}"
            return of, of and Result(of[0], "dead", code=data.error, detail=reason)
        case _:
            return None, None


def _key_of(payload: bytes) -> Key | None:
    """The submission that a dead letter's event is about, if it is about one."""
    try:
        data = json.loads(payload)["data"]
        block = data.get("document")
        name = block["name"] if block else data["name"]
        submitted = block["version"]["submitted"] if block else data["submitted"]
        return name, datetime.fromisoformat(submitted)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
