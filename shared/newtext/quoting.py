"""Recognise where an e-mail stops being new: attributions, header blocks, forward separators.

All functions take the lines of a body and never change them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.newtext import mail_words as words
from shared.newtext.attributions import attribution_at
from shared.newtext.mail_lines import plain, unquoted

Kind = Literal["attribution", "headers", "separator"]

MAX_HEADER_LINES = 24


@dataclass(frozen=True)
class Boundary:
    """Lines `start` (included) to `end` (excluded) announce somebody else's text after them."""

    kind: Kind
    start: int
    end: int
    forwarded: bool = False


_SEPARATOR = re.compile(
    rf"(?:(?P<forwarded>{words.FORWARDED})|{words.ORIGINAL})\s?[:：]?$", re.IGNORECASE
)
_BARE_SEPARATOR = re.compile(
    rf"(?:(?P<forwarded>{words.FORWARD_BEGINS})|{words.ORIGINAL})\s?[:：]$", re.IGNORECASE
)
# The header block may follow on the same line.
_SEPARATOR_INSIDE = re.compile(
    rf"^-{{3,}}\s*(?:(?P<forwarded>{words.FORWARDED})|{words.ORIGINAL})\s*-{{3,}}\s*\S",
    re.IGNORECASE,
)
_REPLY_ABOVE = re.compile(rf"(?:{words.REPLY_ABOVE})\b.{{0,30}}$", re.IGNORECASE)
_MESSAGE_OF = re.compile(
    r"(?:message (?:de|from)|nachricht von|mensaje de|messaggio da)\b.{2,160}$", re.IGNORECASE
)

_ROLES = "|".join(f"(?P<r_{role}>{names})" for role, names in words.HEADER_ROLES.items())
_HEADER = re.compile(rf"^[\s*_|]*(?:{_ROLES})\s?\**\s?[:：]\**(?:\s|$|[^/])", re.IGNORECASE)
# eM Client writes its headers without a colon, under its separator only.
_HEADER_NO_COLON = re.compile(rf"^(?:{_ROLES}) \S", re.IGNORECASE)
# Some programs flatten the whole block onto one line.
_FLAT = tuple(
    re.compile(rf"\b(?:{names})\s?\*?\s?:", re.IGNORECASE)
    for names in (
        words.HEADER_ROLES["from"],
        f"{words.HEADER_ROLES['sent']}|date",
        words.HEADER_ROLES["subject"],
    )
)
_DRAWN = "*_- "


def first_boundary(lines: Sequence[str]) -> Boundary | None:
    """The first place where somebody else's text is announced, or None."""
    bare = [plain(unquoted(line)) for line in lines]
    for index, line in enumerate(bare):
        if not line:
            continue
        found = (
            _separator_at(bare, index)
            or _headers_at(bare, index)
            or _attribution_at(bare, lines, index)
        )
        if found:
            return found
    return None


def _separator_at(bare: list[str], index: int) -> Boundary | None:
    line = bare[index]
    ruled = _ruled(line)
    match = ruled or _SEPARATOR.match(line)
    if match is None:
        return None
    end = index + 1
    while end < len(bare) and not bare[end]:
        end += 1
    headers = _headers_at(bare, end, announced=bool(ruled)) if end < len(bare) else None
    if not ruled and not headers:
        return None
    forwarded = bool(match.groupdict().get("forwarded"))
    return Boundary("separator", index, headers.end if headers else index + 1, forwarded)


def _ruled(line: str) -> re.Match[str] | None:
    """A separator that its rules, or its colon, mark as one: "-----Message d'origine-----"."""
    words_only = line.strip("*_-=#>~ ")
    lead = line[: line.find(words_only)].strip()
    if len(lead) >= 2 or "*" in lead:
        match = _SEPARATOR.match(words_only) or _REPLY_ABOVE.match(words_only)
        if not match and line.endswith("--"):
            match = _MESSAGE_OF.match(words_only)
        if match:
            return match
    return (
        _BARE_SEPARATOR.match(words_only)
        or _REPLY_ABOVE.match(words_only)
        or _SEPARATOR_INSIDE.match(line)
    )


def _headers_at(bare: list[str], index: int, announced: bool = False) -> Boundary | None:
    """A block of header lines starting at `index`; not `announced`, it must prove to be one."""
    if _is_flat_block(bare[index]):
        return Boundary("headers", index, index + 1)
    header = _HEADER
    if not header.match(bare[index]):
        header = _HEADER_NO_COLON
        if not (announced and header.match(bare[index])):
            return None
    roles: set[str] = set()
    end = cursor = index
    gap = 0
    while cursor < len(bare) and cursor - index < MAX_HEADER_LINES and gap <= 2:
        match = header.match(bare[cursor])
        if match:
            roles.add((match.lastgroup or "")[2:])
            end, gap = cursor + 1, 0
        else:
            # A folded value, or the blank line that HTML paragraphs leave between headers.
            gap += 1
        cursor += 1
    if announced and roles & {"from", "subject", "date", "sent"}:
        return Boundary("headers", index, end)
    block = " ".join(bare[index:end])
    return Boundary("headers", index, end) if _is_header_block(roles, block) else None


def _is_header_block(roles: set[str], block: str) -> bool:
    # "De : Paris / À : Lyon / Date : demain" is a journey, not a header block.
    if "from" not in roles:
        return {"date", "subject", "to"} <= roles and "@" in block
    if not roles & {"subject", "sent"} and "@" not in block:
        return False
    return len(roles & {"sent", "date", "to", "subject"}) >= 1


def _is_flat_block(line: str) -> bool:
    """ "De : X Envoyé : hier À : Y Objet : Z", the roles one after the other."""
    first, *others = _FLAT
    text = line.lstrip(_DRAWN)
    found = first.match(text)
    for role in others:
        found = role.search(text, found.end() + 3) if found else None
    return found is not None


def _attribution_at(bare: list[str], lines: Sequence[str], index: int) -> Boundary | None:
    found = attribution_at(bare, lines, index)
    return Boundary("attribution", *found) if found else None
