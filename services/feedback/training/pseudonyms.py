"""Personal data in the texts of a row, replaced alike wherever it stands in the row. Pure.

Which strings are personal is told by a recogniser; here they are brought together (« M. Dupont »
is « Marie Dupont » when the row knows one Dupont), numbered by first appearance, and replaced in
every text of the row. What a public document says, such as a service's address, is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from shared.records import MailBlock

Entity = Literal["PERSONNE", "ADRESSE", "TELEPHONE", "COURRIEL", "IBAN", "NIR", "NAISSANCE"]
"""What a replaced string becomes, with its number: PERSONNE_1."""
ENTITIES: tuple[Entity, ...] = get_args(Entity)
VERSION = "1"
"""Raise with any change here: rows of an earlier version are then read anew."""
_WORD = re.compile(r"[^\W_]+")
_TITLES = frozenset(
    _WORD.findall(
        "m mm mr mme mmes mlle me maître dr docteur pr professeur monsieur madame mademoiselle"
        " messieurs mesdames le la les l et maire maires"
    )
)
_PARTICLES = frozenset(_WORD.findall("de du des la le les d l el al ben da dos van von di y et"))
_OFFICE = re.compile(
    r"\b(?:mairie|commune|ville|service|accueil|contact|département|région|secrétariat|direction|"
    r"association|école|collège|lycée|agence|syndicat|communauté|métropole|préfecture|société|"
    r"office|bureau|info|ministère|université|centre|maison|conseil)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A string that is personal data."""

    entity: Entity
    text: str


class Recogniser(Protocol):
    """Finds personal data; ``fingerprint`` changes with whatever changes what it finds."""

    fingerprint: str

    def find(self, texts: Sequence[str]) -> list[list[Found]]:
        """What each text holds, in its order."""

    def certain(self, text: str) -> list[Found]:
        """What shows by its form alone, such as numbers and addresses; a fast look."""

    def keeps(self, text: str) -> bool:
        """Whether ``text`` is a place or institution that stays."""


class Pseudonyms:
    """The strings of one row and what stands for them.

    ``public``: texts that anyone may read; their addresses and numbers are nobody's secret.
    """

    def __init__(
        self,
        found: Iterable[Found],
        public: str = "",
        keeps: Callable[[str], bool] = lambda _word: False,
    ) -> None:
        self._keeps = keeps
        self._people: list[tuple[frozenset[str], int]] = []
        self._known: dict[str, str] = {}
        self._seen: Counter[Entity] = Counter()
        ranked = sorted(
            dict.fromkeys(found), key=lambda f: f.entity != "PERSONNE" or -len(_name(f.text))
        )
        spoken = _folded(public)
        for each in ranked:
            if each.entity == "PERSONNE":
                self._person(each.text)
            elif _folded(each.text) not in spoken:
                self._other(each)
        keys = sorted((key for key in self._known if key), key=len, reverse=True)
        pattern = "|".join(_flexible(key) for key in keys)
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if keys else None
        self.replaced: Counter[Entity] = Counter()

    def apply(self, text: str) -> str:
        """``text`` with every known string replaced; counted in ``replaced``."""
        return self._pattern.sub(self._swap, text) if self._pattern else text

    def _swap(self, found: re.Match[str]) -> str:
        token = self._known[_plain(found.group())]
        self.replaced[token.rsplit("_", 1)[0]] += 1  # type: ignore[index]  # ends with its number
        return token

    def _person(self, text: str) -> None:
        words = _name(text)
        if not words:
            return
        key = frozenset(_folded(word) for word in words if word.casefold() not in _PARTICLES)
        if not key:
            return
        number = next((n for names, n in self._people if key <= names), 0)
        if not number:
            self._seen["PERSONNE"] += 1
            number = self._seen["PERSONNE"]
            self._people.append((key, number))
        token = f"PERSONNE_{number}"
        bare = _bare(text)
        for form in (bare, bare.upper(), bare.title()):
            self._known.setdefault(_plain(form), token)
        for word in words if len(words) > 1 else ():
            # A name's parts stand for it elsewhere, but « Petit » may be a common word.
            if len(word) > 3 and word[0].isupper() and not self._keeps(word):
                self._known.setdefault(_plain(word), token)

    def _other(self, found: Found) -> None:
        text = _plain(found.text)
        if text not in self._known:
            self._seen[found.entity] += 1
            self._known[text] = f"{found.entity}_{self._seen[found.entity]}"


def people_of(mail: MailBlock) -> tuple[Found, ...]:
    """Who wrote, as the header has it; the name of an office is not a person's."""
    found: list[Found] = []
    for one in (mail.sender, mail.reply_to):
        if one and one.address:
            found.append(Found("COURRIEL", one.address))
        if one and one.name and "@" not in one.name and not _OFFICE.search(one.name):
            found.append(Found("PERSONNE", one.name))
    return tuple(dict.fromkeys(found))


def texts_in(value: Any) -> list[str]:
    """The strings of a column: itself, or those of its messages or list."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return texts_in(value.get("content", ""))
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts_in(each)]
    return []


def replaced_in(value: Any, names: Pseudonyms) -> Any:
    """The column with pseudonyms; a message keeps its role."""
    if isinstance(value, str):
        return names.apply(value)
    if isinstance(value, Mapping):
        return {**value, "content": names.apply(str(value.get("content", "")))}
    if isinstance(value, list | tuple):
        return [replaced_in(each, names) for each in value]
    return value


def _plain(text: str) -> str:
    return " ".join(text.split())


def _flexible(key: str) -> str:
    """A pattern for ``key`` wherever lines or spaces break it."""
    return r"\s+".join(re.escape(part) for part in key.split(" "))


def _folded(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\W_]+", "", "".join(c for c in bare if not unicodedata.combining(c)))


def _bare(text: str) -> str:
    """A name without the titles before it."""
    rest = _plain(text).strip(" ,;:.()«»\"'’-")
    while (first := _WORD.match(rest)) and first.group().casefold() in _TITLES:
        shorter = rest[first.end() :].lstrip(" .,'’")
        if not shorter:
            return ""
        rest = shorter
    return rest


def _name(text: str) -> list[str]:
    return _WORD.findall(_bare(text))
