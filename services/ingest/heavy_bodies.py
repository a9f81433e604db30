"""Large bodies kept out of the standard parser, which needs eight times their size.

Each is replaced by a mark before parsing and taken from the raw message afterwards. Marks may
stand anywhere: whatever part they are found in, what they stand for is put back.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

FROM_BYTES = 64 * 1024
"""Smaller bodies are left to the parser."""
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
MAX_BODIES = 5000
_NESTED = re.compile(rb"^Content-Type:[ \t\r\n]*message/", re.IGNORECASE | re.MULTILINE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")


@dataclass(slots=True)
class SetAside:
    """`light` is the message with marks; `spans` says which bytes of `raw` each mark stands for."""

    raw: bytes
    light: bytes
    mark: str
    spans: list[tuple[int, int]] = field(default_factory=list)

    def decoded(self, payload: str) -> bytes | None:
        """The bytes that `payload` stands for when it is one mark of sound base64, else None."""
        match = self._pattern.fullmatch(payload.strip())
        if match is None:
            return None
        start, end = self.spans[int(match[1])]
        return decoded_base64(memoryview(self.raw)[start:end])

    def restored(self, payload: str, most: int | None = None) -> str:
        """`payload` with what its marks stand for, `most` bytes each; above 127 as surrogates."""
        return self._pattern.sub(
            lambda match: self._body(match, most).decode("ascii", "surrogateescape"), payload
        )

    def restored_bytes(self, data: bytes) -> bytes:
        """The same for a serialised message, whose lines end in LF."""
        pattern = re.compile(self._pattern.pattern.encode())
        return pattern.sub(
            lambda match: self.raw[slice(*self.spans[int(match[1])])].replace(b"\r\n", b"\n"), data
        )

    def holds(self, payload: str) -> bool:
        """Whether a mark is in `payload`."""
        return bool(self.spans) and self.mark in payload

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"{self.mark}(\d{{1,6}})x")

    def _body(self, match: re.Match[str], most: int | None) -> bytes:
        start, end = self.spans[int(match[1])]
        return self.raw[start : end if most is None else min(end, start + most)]


def decoded_base64(body: bytes | memoryview) -> bytes | None:
    """The bytes of a base64 body, or None when it is not sound; one cut short lacks its padding."""
    for padding in (b"", b"=="):
        try:
            return binascii.a2b_base64(b"".join((body, padding)) if padding else body)
        except binascii.Error:
            continue
    return None


def set_aside(raw: bytes) -> SetAside:
    """`raw` without its large bodies."""
    mark, number = "sourcier0body", 0
    while mark.encode() in raw:
        number += 1
        mark = f"sourcier{number}body"
    spans: list[tuple[int, int]] = []
    pieces: list[bytes] = []
    done = headers = 0
    parts = _BOUNDARY.search(raw) is not None
    for _ in range(MAX_BODIES):
        found = _HEADERS_END.search(raw, headers)
        if found is None:
            break
        start = found.end()
        if _NESTED.search(raw, headers, start):
            # The headers of the message within are read too.
            headers = start
            continue
        # No body goes beyond the next line that starts with two hyphens; it may end there.
        end = raw.find(b"\n--", start - 1) if parts else -1
        end = len(raw) if end < 0 else max(end, start)
        if end < len(raw) and raw[end - 1 : end] == b"\r":
            end = max(end - 1, start)
        if end - start >= FROM_BYTES:
            pieces += [raw[done:start], f"{mark}{len(spans)}x".encode()]
            spans.append((start, end))
            done = end
        headers = end
    if not spans:
        return SetAside(raw, raw, mark)
    return SetAside(raw, b"".join([*pieces, raw[done:]]), mark, spans)
