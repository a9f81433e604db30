"""Recognise where an e-mail stops being new: attributions, header blocks, forward separators.

All functions take the lines of a body and never change them; matching is done on a copy with
no-break spaces, zero-width characters and composed accents normalised, because mail programs
write U+00A0 or U+202F before the French colon and some write accents decomposed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["attribution", "headers", "separator"]

MAX_ATTRIBUTION_LINES = 4
MAX_ATTRIBUTION_CHARS = 400
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
_SPACES = re.compile(r"[^\S\n]+")
_QUOTE_MARK = re.compile(r"^\s*>")
_QUOTE_PREFIX = re.compile(r"^(?:\s*>)+\s?")

_WROTE = (
    r"a écrit(?: ce qui suit)?|a ecrit|écrivait|wrote|schrieb|geschreven|schreef|escribió|escreveu"
    r"|ha scritto|skrev|napisał(?:\(a\)|a)?|написала?|пишет?|пише|kirjoitti|写道|a scris|napsala?"
)
# "Le 3 mars 2024 à 10:12, X <x@y> a écrit :", in any of the languages that mail programs speak.
_VERB_LAST = re.compile(rf"(?:\b(?:{_WROTE})|写道)\s*[-:： ]*$", re.IGNORECASE)
_VERB_INSIDE = re.compile(
    rf"\b(?:{_WROTE})\b.*\S@\S.*[>\s]:$|\b(?:{_WROTE}) (?:am|le|den|on)\b.*:$", re.I
)
# "30.09.2017, 18.30, "Name" <x@y>:": no verb at all, yet a date, an address and a colon.
_DATED_ADDRESS = re.compile(r"^(?=.{0,60}\d).*<\s?\S+@\S+\s?>\s?:$")
_DATE_THEN_NAME = re.compile(
    r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:,? \d{1,2}:\d{2})?(?: (?:GMT|UTC)?[+-]\d{2}:?\d{2})? "
    r"\D.{2,200}$"
)
_OPENING = re.compile(
    r"^(?:[-*_ ]*)(?:le|on|el|il|em|am|op|den|dnia|på|at|w dniu|в|a|在|\d{1,4}[./: -]"
    r"|\w{2,12}[.,]* \d)"
    r"|<[^>]*$|<\S+@\S+>|\"\s*$|, .*\d{4}",
    re.IGNORECASE,
)
_EVIDENCE = re.compile(r"\S@\S|\d{1,2}\s?[:h.]\s?\d{2}|\b(?:19|20)\d{2}\b", re.IGNORECASE)

_SEPARATOR = re.compile(
    r"^[\s*_-]*(?:-{2,}|_{2,}|\*)\s*(?P<words>"
    r"message d.origine|message original|message initial|mail original|courriel original"
    r"|courrier original|message transféré|mail transféré|courriel transféré|message réexpédié"
    r"|original message|original appointment|forwarded message|forwarded by.*|réacheminé par.*"
    r"|transféré par.*|transmis par.*|ursprüngliche nachricht|weitergeleitete nachricht"
    r"|mensaje original|mensaje reenviado|mensagem original|messaggio originale|messaggio inoltrato"
    r"|oprindelig besked|opprinnelig melding|ursprungligt meddelande|oorspronkelijk bericht"
    r"|doorgestuurd bericht)\s*:?\s*[-_* ]*$",
    re.IGNORECASE,
)
_BARE_SEPARATOR = re.compile(
    r"^(?:début du message (?:transféré|réexpédié)|message transféré|begin forwarded message"
    r"|message d.origine|original message)\s*:$",
    re.IGNORECASE,
)
_FORWARD_WORDS = re.compile(
    r"transf|réexp|forward|réachem|transmis|weitergel|reenviado|inoltrato|doorgest", re.IGNORECASE
)

_HEADER_ROLES: dict[str, str] = {
    "from": r"de|from|von|da|van|från|fra|od|от|de la part de|expéditeur|sender",
    "sent": r"envoyé(?: le)?|message du|sent|gesendet|skickat|inviato|verzonden|enviado(?: el| "
    "em)?|sendt",
    "date": r"date|datum|data|dato|fecha|дата",
    "to": r"à|a|to|an|para|aan|till|til|do|pour|destinataires?|кому",
    "subject": r"objet|subject|betreff|oggetto|asunto|assunto|onderwerp|ämne|emne|temat|тема|sujet",
    "other": r"cci?|bcc|copie(?: à)?|kopie|reply-to|répondre à|risposta|importance|priorité"
    r"|pièces? jointes?|attachments?|message-id|organisation|organization",
}
_HEADER = re.compile(
    r"^[\s*_|]*(?:"
    + "|".join(f"(?P<r_{role}>{names})" for role, names in _HEADER_ROLES.items())
    + r")\s?\*?\s?[:：]\*?(?:\s|$|[^/])",
    re.IGNORECASE,
)
# Some programs flatten the whole block onto one line.
_FLAT_HEADERS = re.compile(
    r"^[\s*_-]*(?:De|From)\s?:.{3,200}\b(?:Envoyé|Sent|Date)(?: le)?\s?:.{3,300}\b(?:Objet"
    r"|Subject)\s?:",
    re.IGNORECASE,
)


def plain(line: str) -> str:
    """The start of `line` as it is matched: NFC, ordinary spaces, nothing invisible, no ends."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", line[:MAX_MATCHED_CHARS])).replace(
        "’", "'"
    )
    return _SPACES.sub(" ", visible.replace("&lt;", "<").replace("&gt;", ">")).strip()


def is_quoted(line: str) -> bool:
    """Whether `line` starts with a `>` mark."""
    return bool(_QUOTE_MARK.match(line))


def unquoted(line: str) -> str:
    """`line` without any of its leading `>` marks."""
    return _QUOTE_PREFIX.sub("", line) if is_quoted(line) else line


def one_level_less(line: str) -> str:
    """`line` without its first `>` mark and the space after it."""
    return re.sub(r"^\s*> ?", "", line)


def first_boundary(lines: list[str]) -> Boundary | None:
    """The first place where somebody else's text is announced, or None."""
    bare = [plain(unquoted(line)) for line in lines]
    for index, line in enumerate(bare):
        if not line:
            continue
        found = (
            _separator_at(bare, index) or _headers_at(bare, index) or _attribution_at(bare, index)
        )
        if found:
            return found
    return None


def _separator_at(bare: list[str], index: int) -> Boundary | None:
    line = bare[index]
    match = _SEPARATOR.match(line) or _BARE_SEPARATOR.match(line)
    if not match:
        return None
    end = index + 1
    while end < len(bare) and not bare[end]:
        end += 1
    headers = _headers_at(bare, end, strict=False) if end < len(bare) else None
    return Boundary(
        "separator",
        index,
        headers.end if headers else index + 1,
        forwarded=bool(_FORWARD_WORDS.search(line)),
    )


def _headers_at(bare: list[str], index: int, strict: bool = True) -> Boundary | None:
    """A block of header lines starting at `index`; `strict` asks for proof that it is one."""
    if _FLAT_HEADERS.match(bare[index]):
        return Boundary("headers", index, index + 1)
    if not _HEADER.match(bare[index]):
        return None
    roles: set[str] = set()
    end = cursor = index
    gap = 0
    while cursor < len(bare) and cursor - index < MAX_HEADER_LINES and gap <= 2:
        match = _HEADER.match(bare[cursor])
        if match:
            roles.add((match.lastgroup or "")[2:])
            end, gap = cursor + 1, 0
        else:
            # A folded value, or the blank line that HTML paragraphs leave between headers.
            gap += 1
        cursor += 1
    block = " ".join(bare[index:end])
    if not strict and roles & {"from", "subject", "date", "sent"}:
        return Boundary("headers", index, end)
    return Boundary("headers", index, end) if _is_header_block(roles, block) else None


def _is_header_block(roles: set[str], block: str) -> bool:
    # "De : Paris / À : Lyon / Date : demain" is a journey, not a header block.
    if "from" not in roles:
        return {"date", "subject", "to"} <= roles and "@" in block
    if not roles & {"subject", "sent"} and "@" not in block:
        return False
    return len(roles & {"sent", "date", "to", "subject"}) >= 1


def _attribution_at(bare: list[str], index: int) -> Boundary | None:
    first = bare[index]
    for count in range(1, MAX_ATTRIBUTION_LINES + 1):
        window = bare[index : index + count]
        if len(window) < count or not window[-1]:
            return None
        text = " ".join(window)
        if len(text) > MAX_ATTRIBUTION_CHARS:
            return None
        if count > 1 and not _OPENING.search(first):
            return None
        if _is_attribution(text):
            return Boundary("attribution", index, index + count)
    return None


def _is_attribution(text: str) -> bool:
    if _VERB_LAST.search(text):
        opening = _OPENING.search(text)
        return bool(opening) and bool(_EVIDENCE.search(text))
    if _VERB_INSIDE.search(text) or _DATED_ADDRESS.match(text):
        return bool(_EVIDENCE.search(text))
    if _DATE_THEN_NAME.match(text):
        return "GMT" in text or ("<" in text and text.endswith((">", ">:")))
    return False
