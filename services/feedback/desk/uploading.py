"""Files of a form, of any number within limits, on disk and never whole in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from services.feedback.desk.words import marked

FILES = 50
FIELDS = 20
FORM_EXTRA = 1 << 20
"""Bytes that a form adds around its files."""
FILES_OF_MOST_SIZE = 4
"""A form may be as large as so many files of the greatest size."""
TOO_MUCH = (
    marked("Envoi trop volumineux"),
    marked("Déposez ces fichiers en plusieurs fois, ou découpez le plus grand."),
)


class TooMuch(Exception):
    """More comes than a form may have."""


@dataclass
class File:
    """One file; ``filename`` is without folders."""

    filename: str
    content_type: str | None
    file: BinaryIO


@dataclass
class Upload:
    """A form: its files that have a name, and its other fields."""

    files: list[File]
    fields: dict[str, str]
    _form: list[UploadFile]

    async def close(self) -> None:
        """Give the files' places free."""
        for part in self._form:
            await part.close()


async def upload_of(request: Request, most: int) -> Upload:
    """The form in ``request``; a file over ``most`` bytes is for its taker to refuse.

    Raises TooMuch, as soon as it is known; HTTPException (400) for what is no form.
    """
    limit = FILES_OF_MOST_SIZE * most + FORM_EXTRA
    if int(request.headers.get("content-length") or 0) > limit:
        raise TooMuch
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise TooMuch
        return message

    try:
        form = await Request(request.scope, receive).form(max_files=FILES, max_fields=FIELDS)
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    parts = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return Upload([_file(part) for part in parts if part.filename], fields, parts)


def _file(part: UploadFile) -> File:
    name = (part.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable()).strip()
    return File(name, part.content_type, part.file)
