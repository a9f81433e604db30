"""TNEF (winmail.dat): the files and the plain text that Outlook wraps for itself (MS-OXTNEF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

SIGNATURE = 0x223E9F78
MAX_FILES = 100
_BODY, _TITLE, _DATA, _RENDER = 0x0002800C, 0x00018010, 0x0006800F, 0x00069002
_CODEPAGE = 0x00069007


@dataclass(slots=True)
class Wrapped:
    """`files`: names as they are written, or "", with their content."""

    text: str = ""
    files: list[tuple[str, bytes]] = field(default_factory=list)


def unwrapped(data: bytes) -> Wrapped | None:
    """What a TNEF stream holds, as far as it is whole; None when it is no such stream."""
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != SIGNATURE:
        return None
    found, charset, position = Wrapped(), "cp1252", 6
    while position + 9 <= len(data):
        attribute, length = struct.unpack_from("<II", data, position + 1)
        start, end = position + 9, position + 9 + length
        if end > len(data):
            break
        value = data[start:end]
        if attribute == _CODEPAGE and length >= 4:
            charset = f"cp{struct.unpack_from('<I', value)[0]}"
        elif attribute == _BODY:
            found.text = _text(value, charset)
        elif attribute == _RENDER and len(found.files) < MAX_FILES:
            found.files.append(("", b""))
        elif attribute == _TITLE and found.files:
            found.files[-1] = (_text(value, charset), found.files[-1][1])
        elif attribute == _DATA and found.files:
            found.files[-1] = (found.files[-1][0], value)
        # A checksum of two bytes follows.
        position = end + 2
    found.files = [(name, content) for name, content in found.files if content]
    return found


def _text(value: bytes, charset: str) -> str:
    try:
        return value.decode(charset, "replace").rstrip("\x00")
    except LookupError:
        return value.decode("cp1252", "replace").rstrip("\x00")
