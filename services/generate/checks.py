"""Checks of a draft's parts against the passages they cite; what fails is removed and said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.generate.answer import EnginePart
from services.generate.french import fold, numbers, terms, words
from shared.records import Check, Passage

LEAST_SUPPORT = 0.5
"""Share of a statement's content words that its passages must hold (same language)."""
_SHINGLE = 8
_ADDRESS = re.compile(r"https?://[^\s<>()«»]+|www\.[^\s<>()«»]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MONTHS = re.compile(
    r"\b(?:janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre)\b"
)
_UNITS = re.compile(r"(\d[\d \u00a0\u202f.,]*?)\s*(%|€|euros?\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What statements are checked against.

    ``foreign``: the reply's language is not the documents', so words cannot be compared.
    """

    passages: Sequence[Passage]
    mail_text: str
    prompt: str = ""
    foreign: bool = False


def examine(
    parts: Sequence[EnginePart], grounds: Grounds
) -> tuple[tuple[EnginePart, ...], tuple[Check, ...]]:
    """The parts that stand, and the checks in words for the reviewer."""
    reasons = [None if part.connective else why_not(part, grounds) for part in parts]
    repeated = _repeated(parts)
    removed: Counter[str] = Counter()
    kept: list[EnginePart] = []
    for index, (part, reason) in enumerate(zip(parts, reasons, strict=True)):
        if reason is None and index in repeated:
            reason = "répétition"
        if reason is None:
            kept.append(part)
        else:
            removed[reason] += 1
    crossed = grounds.foreign and any(
        not part.connective and _support(part, grounds) < LEAST_SUPPORT for part in kept
    )
    return _without_idle_connectives(kept), _told(removed, crossed)


def why_not(part: EnginePart, grounds: Grounds) -> str | None:
    """Why a statement cannot stand (French), or ``None``."""
    if not terms(part.text):
        return "énoncé vide"
    if not part.citations:
        return "énoncé sans source"
    if leaks(part.text, grounds.prompt):
        return "texte de consigne"
    if facts(part.text) - facts(f"{_cited_text(part, grounds)} {grounds.mail_text}"):
        return "chiffre, date ou adresse absent des passages cités"
    if not grounds.foreign and _support(part, grounds) < LEAST_SUPPORT:
        return "énoncé trop éloigné des passages cités"
    return None


def _support(part: EnginePart, grounds: Grounds) -> float:
    return support_ratio(part.text, _cited_text(part, grounds))


def _cited_text(part: EnginePart, grounds: Grounds) -> str:
    """All that the cited passages say, their titles and headings included."""
    cited = [grounds.passages[index] for index in part.citations]
    return " ".join(f"{p.title} {' '.join(p.heading_path)} {p.text}" for p in cited)


def support_ratio(text: str, support: str) -> float:
    """Share of the content words of ``text`` that ``support`` holds, in [0, 1]."""
    told = set(terms(text))
    return len(told & set(terms(support))) / len(told) if told else 0.0


def facts(text: str) -> set[str]:
    """Figures, figures with % or €, months, e-mail and web addresses of ``text``."""
    addresses = {match.rstrip(".,;").lower() for match in _ADDRESS.findall(text)}
    plain = _ADDRESS.sub(" ", text)
    units = {
        f"{numbers(figure)[-1]} {'%' if unit == '%' else '€'}"
        for figure, unit in _UNITS.findall(plain)
    }
    return addresses | units | set(_MONTHS.findall(fold(plain))) | set(numbers(plain))


def leaks(text: str, prompt: str) -> bool:
    """Whether ``text`` repeats a stretch of the prompt's own instructions."""
    told, source = words(fold(text)), words(fold(prompt))
    if len(told) < _SHINGLE or len(source) < _SHINGLE:
        return False
    known = {tuple(source[i : i + _SHINGLE]) for i in range(len(source) - _SHINGLE + 1)}
    return any(tuple(told[i : i + _SHINGLE]) in known for i in range(len(told) - _SHINGLE + 1))


def degenerate(texts: Sequence[str]) -> bool:
    """Whether an engine got stuck: a stretch of words again and again, or one part repeated."""
    whole = [word for text in texts for word in words(fold(text))]
    if len(texts) > 2 and len({fold(text).strip() for text in texts}) <= len(texts) // 2:
        return True
    size = 6
    counts = Counter(tuple(whole[i : i + size]) for i in range(len(whole) - size + 1))
    return bool(counts) and counts.most_common(1)[0][1] >= 4


def _repeated(parts: Sequence[EnginePart]) -> set[int]:
    seen: set[str] = set()
    again: set[int] = set()
    for index, part in enumerate(parts):
        key = " ".join(words(fold(part.text)))
        if key in seen and not part.connective:
            again.add(index)
        seen.add(key)
    return again


def _without_idle_connectives(parts: Sequence[EnginePart]) -> tuple[EnginePart, ...]:
    """A connective that announces statements (« … : ») goes when none of them is left."""
    kept: list[EnginePart] = []
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else None
        announces = part.connective and part.text.endswith(":")
        if announces and (following is None or following.connective):
            continue
        kept.append(part)
    return tuple(kept)


def _told(removed: Counter[str], foreign: bool) -> tuple[Check, ...]:
    detail = " ; ".join(f"{reason} ({count})" for reason, count in sorted(removed.items()))
    checks = [
        Check(
            name="support",
            passed=not removed,
            detail=f"Énoncés retirés du projet : {detail}." if removed else "",
        )
    ]
    if foreign:
        checks.append(
            Check(
                name="language",
                passed=True,
                detail="La réponse n'est pas dans la langue des documents : seuls les chiffres, "
                "dates et adresses ont pu être vérifiés mot à mot.",
            )
        )
    return tuple(checks)
