"""French text into full sentences, without being fooled by abbreviations, decimals and quotes."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…]+(?:[ \u00a0\u202f]?[»”\")\]])*(?=\s)")
_STARTS = re.compile(r"\s+[«“\"(\[–—-]?[ \u00a0\u202f]?[A-ZÀ-ÖØ-ÞŒÆ0-9]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s('’«-])(?:mm?|mlles?|mmes?|drs?|prs?|mgr|me|ste?|arts?|al|av|bd|boul|cf|chap|coll|ex"
    r"|env|éd|fig|hab|ibid|inf|jr|max|min|n|no|nos|n°|op|p|pp|par|réf|resp|sect|sup|t|tél|approx|vol"
    r"|vs|mr|mrs|ms|e\.g|i\.e|c\.-à-d|janv|févr|avr|juil|sept|oct|nov|déc)\.$",
    re.IGNORECASE,
)
# « etc. » may well end a sentence: only what never does is listed above. Article numbers
# (« L. 123-4 ») and initials are single capitals, unless they are a unit (« 10 V. »).
_INITIAL = re.compile(r"(?:^|[^\w\s]|(?<!\d)[\s'’])[A-ZÀ-Ý]\.$")
_ENUMERATION = re.compile(r"^\s*\d{1,2}\.$")
_FULL = re.compile(r"[.!?…][ \u00a0\u202f]?[»”\")\]]*$")
_WEAK_OPENING = re.compile(
    r"^(?:oui|non|si|bien sûr|tout à fait|absolument|en effet)\b[^.!?]{0,12}[.!,]?$", re.IGNORECASE
)
_LEANS = re.compile(
    r"^(?:(?:il|elle|ils|elles)\b"
    r"|(?:toutefois|cependant|néanmoins|en revanche|de plus|en outre|par ailleurs|ainsi|aussi"
    r"|donc|c'est pourquoi|dans (?:ce|les deux|tous les) cas|à l'inverse|au contraire|de même"
    r"|celui-ci|celle-ci|ceux-ci|celles-ci|ce dernier|cette dernière|cela|ceci|leurs?|son|sa|ses"
    r"|lui|y|en|c'est|ce sont|elle-même|et|ou|mais|puis|ensuite|sinon|par exemple|ici)\b"
    r"|(?:\S+\s){0,4}?(?:ce|cet|cette|ces)\s(?!qui\b|que\b|qu'|dernier))",
    re.IGNORECASE,
)
_ELLIPTIC = re.compile(r"\b(?:l['’]est|le sont)[.,;]", re.IGNORECASE)
_IMPERSONAL = re.compile(
    r"^il\s(?:(?:n'|ne\s)?(?:est|serait|faut|existe|convient|y a|suffit|s'agit|peut être"
    r"|vous faut|appartient))\b",
    re.IGNORECASE,
)


def split(paragraph: str) -> list[str]:
    """Sentences of one paragraph, in order, each a verbatim piece of it (outer space removed)."""
    pieces: list[str] = []
    start = 0
    for found in _END.finditer(paragraph):
        if _ends_here(paragraph, start, found):
            pieces.append(paragraph[start : found.end()].strip())
            start = found.end()
    pieces.append(paragraph[start:].strip())
    return _with_short_openings([piece for piece in pieces if piece])


def is_full(sentence: str) -> bool:
    """Whether the sentence ends as one."""
    return bool(_FULL.search(sentence.rstrip()))


def is_question(sentence: str) -> bool:
    """Whether the sentence asks instead of stating."""
    return bool(re.search(r"\?[ \u00a0\u202f]?[»”\")\]]*$", sentence.rstrip()))


def leans(text: str) -> bool:
    """Whether a sentence takes up what stands before it (« Ce délai », « Toutefois », « Elle »)."""
    opens = bool(_LEANS.match(text)) and not _IMPERSONAL.match(text)
    return opens or bool(_ELLIPTIC.search(text))


def _ends_here(text: str, start: int, found: re.Match[str]) -> bool:
    if not _STARTS.match(text, found.end()):
        return False
    before = text[start : found.end()]
    mark = found.group()
    if mark == "." and any(p.search(before) for p in (_ABBREVIATION, _INITIAL, _ENUMERATION)):
        return False
    return not _inside_pair(text, start, found.end())


def _inside_pair(text: str, start: int, end: int) -> bool:
    """Inside « … » or (…) that closes later in the same paragraph."""
    for opening, closing in ("«»", "()"):
        piece = text[start:end]
        if piece.count(opening) > piece.count(closing) and closing in text[end:]:
            return True
    return False


def _with_short_openings(pieces: list[str]) -> list[str]:
    """« Oui. » is no statement alone: it stays with the sentence that it opens."""
    joined: list[str] = []
    for piece in pieces:
        if joined and _WEAK_OPENING.match(joined[-1]):
            joined[-1] = f"{joined[-1]} {piece}"
        else:
            joined.append(piece)
    return joined
