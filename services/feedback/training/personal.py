"""How personal data is written in French administrative e-mails. Pure.

Patterns are for Presidio, whose ``regex`` module takes look-behinds of any length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.feedback.training.pseudonyms import Entity, Found

VERSION = "1"
"""Raise with any change here."""
_UP = r"A-ZÀ-ÖØ-ÞŒ"
_LOW = r"a-zà-öø-ÿœ"
_CAPITAL = rf"(?:[dl]['’])?[{_UP}][{_LOW}{_UP}'’]*(?:-[{_UP}{_LOW}][{_LOW}{_UP}'’]*)*"
_PARTICLE = r"(?:de la|de|du|des|le|la|van der|van|von|di|da|dos|el|al|ben)"
_NAME = rf"(?:{_PARTICLE} )?{_CAPITAL}(?:[ \u00a0](?:{_PARTICLE} )?{_CAPITAL}){{0,3}}"
_FULL = rf"{_CAPITAL}(?:[ \u00a0](?:{_PARTICLE} )?{_CAPITAL}){{1,3}}"
_TITLE = (
    r"(?:M\.|MM\.|Mr\.?|Mmes?|Mlles?|Me|Dr\.?|Pr\.?|[Mm]onsieur|[Mm]adame|[Mm]ademoiselle|"
    r"MONSIEUR|MADAME|[Mm]esdames|[Mm]essieurs|[Mm]aître|[Dd]octeur|[Pp]rofesseur)"
)
_OFFICE = r"(?:(?:le|la) (?:maire|directeur|directrice|président|présidente|proviseur|préfet) )?"
_MONTH = (
    r"(?:janvier|février|fevrier|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|"
    r"novembre|décembre|decembre)"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:er)? {_MONTH} \d{{4}}|\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2,4}}|{_MONTH} \d{{4}})"
)
_WAY = (
    r"(?:rue|avenue|av\.|boulevard|bd\.?|place|pl\.|allées?|impasse|chemin|quai|cours|route|"
    r"square|passage|villa|résidence|lotissement|hameau|faubourg|esplanade|sentier|voie|"
    r"rond-point|montée|ruelle|lieu-dit|promenade|cité|parvis|mail|zone|za|zi)"
)
_LINK = r"(?:de la |de l['’]|de |du |des |d['’]|la |le |les |l['’]|en |sur |sous |aux? |et |lès )"
_CITY = rf"{_CAPITAL}(?:[ -](?:{_LINK})?{_CAPITAL})*(?: cedex(?: \d+)?)?"
_NUMBER = r"\b\d{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? "
_BOX = r"(?:,? (?:BP|CS|boîte postale) ?\d+)?"

PATTERNS: dict[str, list[str]] = {
    "PERSON": [
        # a title, an office and a name; « M. et Mme Barbier »
        rf"(?<=\b{_TITLE}[ \u00a0]{_OFFICE}){_NAME}",
        rf"(?<=(?i:\b(?:bonjour|bonsoir|ch[eè]re?|salut|merci(?: à)?|à bientôt,|cordialement,)) )"
        rf"{_FULL}(?=\s*(?:[,.!]|$))",
        rf"(?<=(?i:\b(?:bonjour|bonsoir|cher|chère|salut)) ){_CAPITAL}(?=\s*[,.!])",
        rf"(?<=(?i:\b(?:je m['’]appelle|je soussignée?,?|je me nomme|nommée?)) ){_NAME}",
        r"(?<=(?i:\bje m['’]appelle) )[a-zà-ÿ-]{2,}(?: [a-zà-ÿ-]{2,})?",
        rf"(?<=(?i:\b(?:mon|ma|notre) (?:fils|fille|mari|femme|époux|épouse|conjointe?|père|mère|"
        rf"voisine?|collègue|frère|sœur|compagnon|compagne|comptable|associée?),?) ){_NAME}",
        rf"(?<=(?i:\b(?:présidence|compte|propriété|cabinet|nom|initiative|signature|départ) de) )"
        rf"{_FULL}",
        # DUPUIS Martine, Jacques DELMAS
        rf"\b[{_UP}][{_UP}'’-]{{2,}} [{_UP}][{_LOW}]+(?:-[{_UP}][{_LOW}]+)?(?![\w'’])",
        rf"\b[{_UP}][{_LOW}]+(?:-[{_UP}][{_LOW}]+)? [{_UP}][{_UP}'’-]{{2,}}(?![\w'’])",
        # P. Fournier, but no « M. »
        rf"\b(?:(?!M\.)[{_UP}]\. ?){{1,2}}[{_UP}][{_LOW}]{{2,}}(?:-[{_UP}][{_LOW}]+)?",
        # a signature: nothing else in the line, after a closing formula
        rf"(?<=(?i:cordialement|salutations|bien à vous|respectueusement|merci|à bientôt),?\s+)"
        rf"{_NAME}(?=\s*(?:$|\n|,))",
    ],
    "FR_ADDRESS": [
        rf"(?i:{_NUMBER}{_WAY} )[^\n;:?!()]{{2,60}}?(?:{_BOX},?\s+\d{{5}} {_CITY})",
        rf"(?i:{_NUMBER}{_WAY} )(?:{_LINK})*{_CAPITAL}(?:[ -](?:{_LINK})*{_CAPITAL})*{_BOX}",
    ],
    "FR_PHONE": [
        r"(?<![\w.+-])(?:(?:\+|00)33[ .-]?(?:\(0\)[ .-]?)?|0)[1-9](?:[ .\u00a0\u202f-]?\d{2}){4}"
        r"(?!\w|[.-]?\d)",
        r"(?<![\w.+-])\+(?!33)[1-9]\d{0,2}(?:[ .-]?\(0\))?(?:[ .-]?\d{1,4}){2,5}(?!\w)",
    ],
    "EMAIL": [r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"],
    "FR_NIR": [
        r"(?<!\d)[12378] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"
        r"(?!\d)"
    ],
    "FR_BIRTH": [
        rf"(?<=\bnée?s?(?:\(e\))?,? (?:à [^\n,]{{2,40}},? )?(?:le |en )){_DATE}",
        rf"(?<=\b(?:naissance|né\(e\))\b[^\d\n]{{0,30}}){_DATE}",
    ],
}
FLAGS: dict[str, int] = {
    name: re.MULTILINE if name in ("PERSON", "FR_ADDRESS") else re.MULTILINE | re.IGNORECASE
    for name in PATTERNS
}


def given_pattern(names: Iterable[str]) -> str:
    """A given name and what follows it: « Nicolas », « Marie-Laure de Montclar »."""
    found = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    double = rf"(?:-(?:{found}))?"
    return rf"(?<![\w-])(?:{found}){double}(?:[ \u00a0](?:{_PARTICLE} )?{_CAPITAL}){{0,2}}(?![\w-])"


_OF_A_PLACE = re.compile(
    r"\b(?:écoles?|collèges?|lycées?|groupe scolaire|gymnase|médiathèque|bibliothèque|salle|stade|"
    r"université|hôpital|clinique|crèche|résidence|place|rue|avenue|boulevard|quai|cours|théâtre|"
    r"centre|espace|maison|piscine|complexe|square|institut|fondation|campus|pôle|tour|pont|"
    r"prix|loi|musée)"
    r"(?: (?:maternelle|élémentaire|primaire|publique|privée|sportif|culturel|hospitalier|social|"
    r"polyvalente|municipale?|intercommunale?))*(?: (?:de|du|la|le))*[ \u00a0\"«“]+$",
    re.IGNORECASE,
)
"""What a name after it belongs to: it names the place, not a correspondent."""
_NO_NAME = re.compile(
    r"(?:bonjour|bonsoir|merci|cordialement|salutations|bien|madame|monsieur|mesdames|messieurs|"
    r"notre|votre|mon|ma|mes|nos|vos|le|la|les|une?|des|service|objet|tél|tel|nous|vous|je|il|elle|"
    r"suite|selon|concernant|dans|pour|par|avec|est|son|sa|ses|ce|cette|quel|quelle|peut|dites|"
    r"prévenez|rappelez|transmettez|veuillez|pouvez|écrivez|contactez|date|numéro|adresse|mail|courriel|rib|nir|"
    r"iban|siret|siren|bon|bonne|cher|chère|dossier|projet|maire|mairie|commune|école|cher)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Where something personal stands in a text."""

    entity: Entity
    start: int
    end: int


class Kept:
    """Places and institutions that carry meaning: never a name, whatever a model believes.

    ``given``: given names, so that a word that begins a sentence is known for one or not.
    """

    def __init__(self, phrases: Iterable[str], given: Iterable[str] = ()) -> None:
        self.given = frozenset(name.casefold() for name in given)
        self.phrases = frozenset(" ".join(phrase.split()) for phrase in phrases)
        known = sorted(self.phrases, key=len, reverse=True)
        found = "|".join(
            re.escape(p).replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]+") for p in known
        )
        self._pattern = re.compile(rf"(?<!\w)(?:{found})(?!\w)", re.IGNORECASE) if known else None

    def holds(self, text: str) -> bool:
        """Whether all words of ``text`` are of kept phrases."""
        if self._pattern is None:
            return False
        return not re.search(
            r"\w", re.sub(r"\b(?:de|du|des|la|le|les|et)\b", "", self._pattern.sub("", text))
        )

    def personal(self, text: str, spans: Sequence[Span]) -> list[Found]:
        """The strings of ``spans`` that are personal data."""
        found = []
        for span in spans:
            written = text[span.start : span.end]
            if span.entity == "PERSONNE":
                if _OF_A_PLACE.search(text[max(0, span.start - 50) : span.start]):
                    continue
                written = _trimmed(written)
                if not written or self.holds(written) or self._opens(text, span, written):
                    continue
            found.append(Found(span.entity, written))
        return found

    def _opens(self, text: str, span: Span, name: str) -> bool:
        """Whether ``name`` is but the capital of a sentence's first word."""
        first = not text[: span.start].strip(' «"(') or bool(
            re.search(r"[.!?:;\n]\s*[«\"(–-]*\s*$", text[: span.start])
        )
        alone = text[span.end : span.end + 1] not in (",", "\n", "") and " " not in name
        return first and alone and name.casefold() not in self.given


def _trimmed(name: str) -> str:
    """A name without the words around it that a model took for part of it."""
    words = re.split(r"\s+", name.split("\n")[0].strip(" ,;:.()«»\"'’-|/"))
    while words and (_NO_NAME.fullmatch(words[0].strip(",.:"))):
        words.pop(0)
    while words and (_NO_NAME.fullmatch(words[-1].strip(",.:")) or not re.search(r"\w", words[-1])):
        words.pop()
    return " ".join(words) if any(re.search(r"[^\W\d_]{2}", word) for word in words) else ""


def valid_nir(text: str) -> bool:
    """Whether the key of a French social security number fits; Corsica's 2A and 2B count too."""
    bare = re.sub(r"\s", "", text).upper()
    digits = bare[:13].replace("2A", "19").replace("2B", "18")
    return len(bare) == 15 and digits.isdigit() and int(bare[13:]) == 97 - int(digits) % 97
