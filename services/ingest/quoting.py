"""Recognise where an e-mail stops being new: attributions, header blocks, forward separators.

All functions take the lines of a body and never change them; matching is done on a copy with
no-break spaces, zero-width characters and composed accents normalised, because mail programs
write U+00A0 or U+202F before the French colon and some write accents decomposed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.ingest import mail_words as words

Kind = Literal["attribution", "headers", "separator"]

MAX_ATTRIBUTION_LINES = 5
MAX_ATTRIBUTION_CHARS = 400
MAX_BLANKS_INSIDE = 2
MAX_HEADER_LINES = 24
# Longer lines are paragraphs; matching their start is enough and bounds every pattern's cost.
MAX_MATCHED_CHARS = 1000


@dataclass(frozen=True)
class Boundary:
    """Lines `start` (included) to `end` (excluded) announce somebody else's text after them."""

    kind: Kind
    start: int
    end: int
    forwarded: bool = False


_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u180e\u1427]")
_HYPHENS = re.compile("[‐‑−]")
_QUOTE_MARK = re.compile(r"^\s*>")
_QUOTE_PREFIX = re.compile(r"^[\s>]*>\s?")

_WROTE = "|".join(words.WROTE.values())
# What follows is matched piece by piece, each in linear time: the sender chooses the text.
_VERB = re.compile(rf"\b(?:{_WROTE}|{words.WROTE_BEFORE_NAME})\b", re.IGNORECASE)
_BEFORE_NAME = re.compile(rf"(?:{words.WROTE_BEFORE_NAME})", re.IGNORECASE)
# "Le 3 mars 2024 à 10:12, X <x@y> a écrit :", in any of the languages that mail programs speak.
_VERB_LAST = re.compile(
    rf"(?:\b(?:{_WROTE})|{words.WROTE_UNSPACED})\s{{0,3}}[-*_:： ]{{0,8}}$", re.IGNORECASE
)
_DATED = re.compile(rf"[-*_ ]*(?:{words.DATE_OPENS})\b.{{0,30}}?\d", re.IGNORECASE)
_TIME = re.compile(r"\d\s?[:.h]\s?\d")
_DATE_AFTER_VERB = re.compile(
    r",? (?:on|am|le|den|el|il) .{0,40}?\d\s?[:.h]\s?\d.{0,25}[:：]$", re.IGNORECASE
)
# "30.09.2017, 18.30, "Name" <x@y>:": no verb at all, yet a date, an address and a colon.
_ADDRESS_LAST = re.compile(r"[<(\[]\s?[^\s<>]{1,200}@[^\s<>]{1,200}\s?[>)\]]\s?[:：]$")
_DATE_THEN_NAME = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:,? \d{1,2}:\d{2})?(?: (?:GMT|UTC)?[+-]\d{2}:?\d{2})? \D"
)
_QUOTING = re.compile(rf"(?:{words.QUOTING})\b.{{2,160}}[:：]$", re.IGNORECASE)
_OPENING = re.compile(
    rf"^(?:[-*_ ]*)(?:(?:{words.DATE_OPENS})\b|在|\d{{1,4}}\s?[./: 年년-]|\w{{2,12}}[.,]* \d)"
    r"|<[^<>]*$|<\s?[^\s<>]{1,200}@[^\s<>]{1,200}>|\"\s*$|, .*\d{4}",
    re.IGNORECASE,
)
_MAY_END = re.compile(
    rf"(?:[-:：>)\]]|{_WROTE}|{words.WROTE_UNSPACED})[\s*_-]{{0,8}}$", re.IGNORECASE
)
_LONGEST_END = 60
_EVIDENCE = re.compile(r"\S@\S|\d{1,2}\s?[:h.]\s?\d{2}|\b(?:19|20)\d{2}\b", re.IGNORECASE)
# "La préfecture nous a écrit :" tells of a letter; a mail program writes of nobody's being written.
_TOLD = re.compile(r"\b(?:nous|m'|me|lui|leur|qui|il|elle|on) (?:a écrit|ha scritto)\b", re.I)

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


def plain(line: str) -> str:
    """The start of `line` as it is matched: NFC, ordinary spaces, nothing invisible, no ends."""
    text = line[:MAX_MATCHED_CHARS]
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text)).replace("’", "'")
        text = _HYPHENS.sub("-", text)
    return " ".join(text.replace("&lt;", "<").replace("&gt;", ">").split())


def is_quoted(line: str) -> bool:
    """Whether `line` starts with a `>` mark."""
    return bool(_QUOTE_MARK.match(line))


def unquoted(line: str) -> str:
    """`line` without any of its leading `>` marks."""
    return _QUOTE_PREFIX.sub("", line) if is_quoted(line) else line


def one_level_less(line: str) -> str:
    """`line` without its first `>` mark and the space after it."""
    return re.sub(r"^\s*> ?", "", line)


def next_is_quoted(lines: Sequence[str]) -> bool:
    """Whether the first filled line of `lines` is quoted."""
    return is_quoted(next((line for line in lines if line.strip()), ""))


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
    joined = ""
    blanks = 0
    last = min(index + MAX_ATTRIBUTION_LINES + MAX_BLANKS_INSIDE, len(bare))
    opens = _OPENING.search(bare[index])
    for end in range(index + 1, last + 1 if opens else index + 2):
        line = bare[end - 1]
        if not line:
            # HTML made text puts the name, the address and the verb in paragraphs of their own.
            blanks += 1
            if blanks > MAX_BLANKS_INSIDE or not _opens_dated(joined):
                return None
            continue
        joined = f"{joined} {line}".strip()
        if len(joined) > MAX_ATTRIBUTION_CHARS:
            return None
        if blanks and "@" not in joined:
            continue
        if _is_attribution(joined, next_is_quoted(lines[end : end + 3])):
            return Boundary("attribution", _name_above(bare, index), end)
    return None


def _opens_dated(text: str) -> bool:
    """Whether `text` starts as an attribution does, and no sentence ends in it."""
    time = _TIME.search(text) if _DATED.match(text) else None
    return time is not None and not re.search("[!?]|[.]$", text[time.end() :])


def _name_above(bare: list[str], index: int) -> int:
    """The start of an attribution: one that opens with the address may have its name above."""
    if index == 0 or not re.match(r"<\s?\S+@", bare[index]):
        return index
    name = bare[index - 1]
    alone = index == 1 or not bare[index - 2]
    return index - 1 if name and alone and len(name) <= 60 and name[-1] not in ".:!?" else index


def _is_attribution(text: str, quote_follows: bool) -> bool:
    if _is_inline(text):
        return True
    if _DATE_THEN_NAME.match(text):
        return "GMT" in text or ("<" in text and text.endswith((">", ">:")))
    tail = text[-_LONGEST_END:]
    if not _MAY_END.search(tail):
        return False
    if _VERB_LAST.search(tail):
        if quote_follows and len(text) <= 160:
            return True
        opening = bool(_OPENING.search(text)) and bool(_EVIDENCE.search(text))
        return opening and ("@" in text or not _TOLD.search(text))
    if not text.rstrip("* ").endswith((":", "：")):
        return False
    if _QUOTING.match(text):
        return quote_follows or "@" in text
    return _names_the_author(text)


def _names_the_author(text: str) -> bool:
    """Whether a text that ends with a colon says who wrote when, its verb inside or missing."""
    dated = any(char.isdigit() for char in text[:60])
    if dated and _ADDRESS_LAST.search(text):
        return True
    verb = _VERB.search(text)
    if verb is None:
        return False
    before, after = text[: verb.start()], text[verb.end() :]
    if _DATE_AFTER_VERB.match(after):
        return True
    if "@" in text:
        return bool(_TIME.search(text))
    return bool(
        _BEFORE_NAME.fullmatch(verb.group()) and _DATED.match(before) and _TIME.search(before)
    )


def _is_inline(text: str) -> bool:
    """ "Le 3 mars à 10:12, X <x@y> a écrit : le texte", when a program lost the line ends."""
    if not _DATED.match(text):
        return False
    verb = _VERB.search(text)
    if verb is None or not text[verb.end() :].lstrip().startswith((":", "：")):
        return False
    before = text[: verb.start()]
    return "@" in before and bool(_TIME.search(before))
