"""A document's text around a passage, of the version that the passage was cut from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime

from services.feedback.errors import NotFound, Told
from shared.envelope import Frozen
from shared.objects import Missing, ObjectStore

AROUND = 3_000
"""Characters shown before and after a passage, at most; pages are shown whole up to this."""
LONGEST = 20_000
"""Characters of a passage that are highlighted at most: addresses are written by anybody."""
TEXT_MOST = 128 * 2**20
"""Bytes of a text file that is read; ingest writes at most 20 million characters."""
READERS = 4
"""Text files in memory at once."""
_GONE = "Ce document n'est plus conservé."
_PREFIX = re.compile(r"[0-9a-f]{16,64}")


class Removed(Told):
    """The document, or this version of it, was taken away."""

    def __init__(self, text: str, newest: str | None = None, **values: object) -> None:
        super().__init__(text, **values)
        self.newest = newest
        """SHA-256 of the version that is there instead."""


class KeptVersion(Frozen):
    """A version of a document as it was indexed.

    ``newest`` is the SHA-256 of the version that took its place, None while it is the live one.
    """

    document_id: UUID
    submitted: AwareDatetime
    sha256: str
    collection: str
    name: str
    title: str
    url: str | None
    audience: str
    media_type: str
    size: int
    original_key: str
    text_key: str
    indexed: AwareDatetime
    newest: str | None = None


class PageExcerpt(Frozen):
    """Text of one page, or of a document without pages (``number`` None).

    ``highlighted`` is "" when the passage is not on it; ``begins`` and ``ends`` tell whether the
    text is that of the page (or document) from its beginning and to its end.
    """

    number: int | None
    before: str
    highlighted: str
    after: str
    begins: bool
    ends: bool


class DocumentExcerpt(Frozen):
    """A passage in its document."""

    title: str
    version: KeptVersion
    pages: tuple[PageExcerpt, ...]


class TextFile(Frozen):
    """What ingest keeps of a document; a page is (number from 1, start, end)."""

    text: str
    pages: tuple[tuple[int, int, int], ...] = ()


Page: TypeAlias = tuple[int | None, int, int]


class Versions(Protocol):
    """The versions of documents that were indexed."""

    async def version(
        self, document_id: UUID, sha_prefix: str, audiences: Sequence[str] | None
    ) -> KeptVersion | None:
        """The version whose content's SHA-256 begins so, if both the version and the document as
        it is now are for one of ``audiences`` (None: whoever). Raises Removed, Unavailable."""


class DocumentReading:
    """Reads documents for the desk and for the public source pages."""

    def __init__(self, versions: Versions, objects: ObjectStore) -> None:
        self._versions = versions
        self._objects = objects
        self._reading = asyncio.Semaphore(READERS)

    async def version(
        self, document_id: UUID, sha_prefix: str, audiences: Sequence[str] | None
    ) -> KeptVersion:
        """One version; ``audiences`` is the viewer's ``audience_list``, or ["public"].

        Raises NotFound (also for other audiences), Removed, Unavailable.
        """
        found = None
        if _PREFIX.fullmatch(sha_prefix):
            found = await self._versions.version(document_id, sha_prefix, audiences)
        if found is None:
            raise NotFound("Ce document, ou cette version du document, n'est pas connu.")
        return found

    async def passage_in_document(
        self,
        document_id: UUID,
        sha_prefix: str,
        start: int | None,
        end: int | None,
        audiences: Sequence[str] | None,
    ) -> DocumentExcerpt:
        """The page or pages of characters ``start`` to ``end``; without them the first page.

        Raises NotFound, Removed, Unavailable; see ``version``.
        """
        version = await self.version(document_id, sha_prefix, audiences)
        try:
            async with self._reading:
                body = await self._objects.get(version.text_key, at_most=TEXT_MOST)
                file = await asyncio.to_thread(TextFile.model_validate_json, body)
        except Missing as error:
            # ingest deletes what it holds of a removed document before feedback hears of it.
            raise Removed(_GONE) from error
        pages = excerpt(file, start or 0, (start or 0) if end is None else end)
        return DocumentExcerpt(title=version.title or version.name, version=version, pages=pages)

    async def original(
        self, document_id: UUID, sha_prefix: str, audiences: Sequence[str] | None
    ) -> tuple[KeptVersion, int, AsyncIterator[bytes]]:
        """The file as it was handed in: its version, its bytes' number, its bytes in pieces.

        Raises NotFound, Removed, Unavailable; see ``version``.
        """
        version = await self.version(document_id, sha_prefix, audiences)
        try:
            size = await self._objects.size(version.original_key)
        except Missing as error:
            raise Removed(_GONE) from error
        return version, size, self._objects.stream(version.original_key)


def excerpt(file: TextFile, start: int, end: int) -> tuple[PageExcerpt, ...]:
    """The pages that characters ``start`` to ``end`` stand on, that span apart from the rest."""
    size = len(file.text)
    start = min(max(start, 0), size)
    end = min(max(end, start), size, start + LONGEST)
    pages: Sequence[Page] = file.pages or ((None, 0, size),)
    on = [page for page in pages if page[1] < end and start < page[2]]
    # A span between pages, or none at all: the page that follows its start.
    on = on or [page for page in pages if start < page[2]][:1] or [pages[-1]]
    return tuple(_page(file.text, page, start, end) for page in on)


def _page(text: str, page: Page, start: int, end: int) -> PageExcerpt:
    number, opens, closes = page
    start, end = (min(max(at, opens), closes) for at in (start, end))
    first, last = max(opens, start - AROUND), min(closes, end + AROUND)
    if first > opens:
        first = min(start, _after_line(text, first, start))
    if last < closes:
        last = max(end, text.rfind("\n", end, last))
    return PageExcerpt(
        number=number,
        before=text[first:start],
        highlighted=text[start:end],
        after=text[end:last],
        begins=first == opens,
        ends=last == closes,
    )


def _after_line(text: str, first: int, start: int) -> int:
    """Where the first whole line after ``first`` begins; ``first`` when there is none."""
    found = text.find("\n", first, start)
    return first if found < 0 else found + 1
