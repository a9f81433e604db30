"""Recognise the lines that say who wrote what follows: "Le 3 mars à 10:12, X <x@y> a écrit :"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.newtext import mail_words as words
from shared.newtext.mail_lines import next_is_quoted

MAX_ATTRIBUTION_LINES = 5
MAX_ATTRIBUTION_CHARS = 400
MAX_BLANKS_INSIDE = 2

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


def attribution_at(bare: Sequence[str], lines: Sequence[str], index: int) -> tuple[int, int] | None:
    """First line and line after the last of an attribution found at `index`, or None.

    `bare`: the `lines` as `plain` gives them, without quote marks.
    """
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
            return _name_above(bare, index), end
    return None


def _opens_dated(text: str) -> bool:
    """Whether `text` starts as an attribution does, and no sentence ends in it."""
    time = _TIME.search(text) if _DATED.match(text) else None
    return time is not None and not re.search("[!?]|[.]$", text[time.end() :])


def _name_above(bare: Sequence[str], index: int) -> int:
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
