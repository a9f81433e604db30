"""Figures, dates, amounts, addresses and names of a text, in one writing each.

A fact is ``kind:value``: ``figure:60 %``, ``date:12-3-2026``, ``contact:0140506070``,
``name:rennes``. What a text *claims* is the finest form of each; what it *grants* holds the
coarser ones too, so that « 12 mars » rests on « 12/03/2026 », and not the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from services.generate.french import fold, numbers, stem
from services.generate.spelling import in_figures

KINDS = {"figure": "chiffre", "date": "date", "contact": "adresse ou téléphone", "name": "nom"}
"""The kinds in words for a reviewer."""

_ADDRESS = re.compile(
    r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>()«»\"]+"
    r"|(?<![\w.@-])(?:[\w-]+\.)+(?:fr|com|org|net|eu|info|io|example|test)\b(?:/[^\s<>()«»\"]*)?",
    re.I,
)
_PHONE = re.compile(
    r"(?<![\w.])(?:(?:\+|00)33[\s.-]?(?:\(0\)[\s.-]?)?|0)[1-9](?:[\s.-]?\d{2}){4}(?!\d)"
)
_SHORT_PHONE = re.compile(
    r"((?:\bau|\ble|\bappele[rz]|téléphone\s?:?)\s)(3\d) (\d\d)(?![\d ]*\d)", re.I
)
_MONTHS = {
    name: number
    for names in (
        "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
        "january february march april may june july august september october november december",
    )
    for number, name in enumerate(names.split(), start=1)
}
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})\b"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d)\b)?"
_DAY = r"(?<!\d)(?P<day>\d{1,2})(?:er|st|nd|rd|th)?"
_DATES = (
    re.compile(
        r"(?<!\d)(?P<day>\d{1,2})[/.-](?P<number>\d{1,2})[/.-](?P<year>(?:19|20)?\d\d)(?!\d)"
    ),
    re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)-(?P<number>\d{2})-(?P<day>\d{2})(?!\d)"),
    re.compile(rf"{_DAY}\s+(?:au|et|ou|-|–|to|and)\s+(?P<last>\d{{1,2}})(?:er)?\s+{_MONTH}{_YEAR}"),
    re.compile(rf"{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}"),
    re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d){_YEAR}"),
    # « may » and « march » alone are verbs.
    re.compile(rf"\b(?!(?:may|march)\b(?!\s+(?:19|20)\d\d)){_MONTH}{_YEAR}"),
)
_NEXT_YEAR = 60
"""Characters after a date without year in which the year of the next one counts for both."""
_SCALE = {"k": 1e3, "millier": 1e3, "million": 1e6, "m": 1e6, "milliard": 1e9, "md": 1e9}
# Repetitions are bounded or possessive: an e-mail may hold any run of digits and spaces.
_FIGURE = r"(?<![\w.,])(?:\d{1,3}(?: \d{3}(?!\d)){1,5}|\d++)(?:[.,]\d++){0,5}"
_UNIT = r"(?P<unit>%|€|euros?\b|eur\b)"
_AMOUNT = re.compile(
    rf"(?P<figure>{_FIGURE})\s?(?P<scale>k|md|m(?=\s?€)|milliers?|millions?|milliards?)?"
    rf"\s?(?:d['’]\s?|de\s)?{_UNIT}",
    re.I,
)
_CURRENCY_FIRST = re.compile(rf"(?:€|\beur)\s?(?P<figure>{_FIGURE})", re.I)
_SCALED = re.compile(rf"(?P<figure>{_FIGURE})\s?(?P<scale>milliers?|millions?|milliards?)\b", re.I)
_SPAN = re.compile(rf"(?P<figure>{_FIGURE})\s?(?:à|et|ou|-|–|to)\s?{_FIGURE}\s?{_UNIT}", re.I)
_BARE = re.compile(rf"{_FIGURE}")
_UNIT_OF_COLUMN = re.compile(r"\((?:en\s+)?(%|€|euros?)(?=[\s)])|\ben (euros|%)", re.I)
_NO_COUNT = re.compile(
    r"^\s*\d{1,2}[.)]\s+"
    r"|\b1(?:ers?|[eè]?res?)\b(?!\s+(?:janv|f[ée]v|mars|avr|mai|jui|ao[uû]|sept|oct|nov|d[ée]c))",
    re.M | re.I,
)
"""Numbers of items, and « 1er », which says no more than « premier »."""
_NAME = re.compile(r"(?<=[\w,;’'] )(?:[dlDL]['’])?([A-ZÀ-ÖØ-Þ][\w-]{2,})")
_WORD = re.compile(r"\w+")


def claims(text: str) -> dict[str, str]:
    """Facts of ``text`` with the way they are written there."""
    found: dict[str, str] = {}
    for fact, written, _ in _read(text, widen=False):
        found.setdefault(fact, " ".join(written.split()))
    return found


@lru_cache(maxsize=64)
def grants(text: str) -> frozenset[str]:
    """All facts for which ``text`` is enough ground, names excepted."""
    return frozenset(fact for fact, _, _ in _read(text, widen=True))


def missing(text: str, support: str) -> dict[str, str]:
    """Facts that ``text`` claims and ``support`` does not grant, as written."""
    granted = grants(support)
    return {fact: written for fact, written in claims(text).items() if fact not in granted}


def from_mail(lacking: dict[str, str], mail: str) -> dict[str, str]:
    """Those facts that an e-mail may tell of itself: neither contacts nor rates, since a reply
    that takes these over from a question affirms what nobody but the writer said."""
    told = grants(mail)
    return {
        fact: written
        for fact, written in lacking.items()
        if fact in told and not fact.startswith("contact:") and not fact.endswith("%")
    }


def unknown_names(text: str, support: str) -> dict[str, str]:
    """Words with a capital inside a sentence of ``text`` that ``support`` has nowhere."""
    known = {stem(word) for word in _WORD.findall(fold(support))}
    known |= set(_WORD.findall(fold(support)))
    found: dict[str, str] = {}
    for name in _NAME.findall(text):
        parts = _WORD.findall(fold(name))
        if not all(part in known or stem(part) in known for part in parts):
            found[f"name:{fold(name)}"] = name
    return found


def contacts(text: str) -> dict[str, str]:
    """E-mail and web addresses and telephone numbers only."""
    return {fact: as_is for fact, as_is in claims(text).items() if fact.startswith("contact:")}


Found = tuple[str, str, int]
"""A fact, as written, and where."""


def _read(text: str, *, widen: bool) -> Iterator[Found]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    left = _NO_COUNT.sub("", "\n".join(line for line in lines if line))
    for reader in (_addresses, _phones):
        found, left = reader(left, widen)
        yield from found
    left = in_figures(_SHORT_PHONE.sub(r"\1\2\3", left))
    columns = {_unit(next(filter(None, m))) for m in _UNIT_OF_COLUMN.findall(left)}
    for reader in (_dates, _amounts):
        found, left = reader(left, widen)
        yield from found
    for match in _BARE.finditer(left):
        for value in numbers(match.group()):
            yield f"figure:{value}", match.group(), match.start()
            if widen:
                # In a table the unit stands above the column.
                yield from ((f"figure:{value} {unit}", "", 0) for unit in sorted(columns))


def _blank(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]}{'|' * len(match.group())}{text[match.end() :]}"


def _addresses(text: str, widen: bool) -> tuple[list[Found], str]:
    found: list[Found] = []
    for match in _ADDRESS.finditer(text):
        written = match.group().rstrip(".,;:!?")
        plain = re.sub(r"^(?:https?://)?(?:www\.)?", "", written.lower()).rstrip("/")
        found.append((f"contact:{plain}", written, match.start()))
        if widen and "@" not in plain:
            found.append((f"contact:{plain.split('/')[0]}", written, match.start()))
        text = _blank(text, match)
    return found, text


def _phones(text: str, _: bool) -> tuple[list[Found], str]:
    found: list[Found] = []
    for match in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", match.group())[-9:]
        found.append((f"contact:0{digits}", match.group(), match.start()))
        text = _blank(text, match)
    return found, text


def _dates(text: str, widen: bool) -> tuple[list[Found], str]:
    seen: list[tuple[int, str, list[int], int, int | None]] = []
    folded = "".join(map(_plain, text))
    for pattern in _DATES:
        for match in pattern.finditer(folded):
            told = match.groupdict()
            month = int(told.get("number") or 0) or _MONTHS.get(told.get("month") or "", 0)
            days = [int(d) for d in (told.get("day"), told.get("last")) if d]
            if not 1 <= month <= 12 or any(not 1 <= day <= 31 for day in days):
                continue
            year = int(told["year"]) if told.get("year") else None
            year = year + 2000 if year is not None and year < 100 else year
            written = text[match.start() : match.end()]
            seen.append((match.start(), written, days, month, year))
            text, folded = _blank(text, match), _blank(folded, match)
    seen.sort()
    found: list[Found] = []
    for index, (start, written, days, month, year) in enumerate(seen):
        following = seen[index + 1] if index + 1 < len(seen) else None
        if widen and year is None and following and following[0] - start < _NEXT_YEAR:
            found += [(fact, "", start) for fact in _date(days, month, following[4], widen)]
        found += [(fact, written, start) for fact in _date(days, month, year, widen)]
    return found, text


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """One character without accent, so that a folded text keeps its places."""
    return fold(character)[:1] or character


def _date(days: list[int], month: int, year: int | None, widen: bool) -> Iterator[str]:
    tail = f"-{year}" if year else ""
    for day in days:
        yield f"date:{day}-{month}{tail}"
    if not days:
        yield f"date:{month}{tail}"
    if not widen:
        return
    yield from (f"date:{day}-{month}" for day in days)
    yield from (f"figure:{day}" for day in days)
    yield from (f"date:{month}{tail}", f"date:{month}")
    if year:
        yield f"figure:{year}"


def _amounts(text: str, widen: bool) -> tuple[list[Found], str]:
    found: list[Found] = []
    if widen:
        for match in _SPAN.finditer(text):
            value = numbers(match["figure"])[-1]
            found.append((f"figure:{value} {_unit(match['unit'])}", "", match.start()))
    for pattern in (_AMOUNT, _CURRENCY_FIRST, _SCALED):
        for match in pattern.finditer(text):
            told = match.groupdict()
            unit = "€" if pattern is _CURRENCY_FIRST else _unit(told.get("unit") or "")
            bare = numbers(told["figure"])[-1]
            value = _scaled(bare, told.get("scale"))
            found.append((f"figure:{value} {unit}".strip(), match.group(), match.start()))
            if widen:
                found += [(f"figure:{each}", "", match.start()) for each in (value, bare)]
            text = _blank(text, match)
    return found, text


def _unit(written: str) -> str:
    return "%" if written == "%" else "€" if written else ""


def _scaled(figure: str, scale: str | None) -> str:
    if not scale:
        return figure
    value = (
        float(figure) * _SCALE[scale.lower().removesuffix("s") if len(scale) > 2 else scale.lower()]
    )
    return f"{value:.2f}".rstrip("0").rstrip(".")
