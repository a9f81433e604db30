"""Words of French (and enough of English) for matching: folding, stems, figures, question types."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("french")
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*", re.UNICODE)
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|presqu)['’]", re.IGNORECASE)
_INVERSION = re.compile(r"-(?:t-)?(?:il|elle|on|ils|elles|je|tu|nous|vous|ce|là|ci)$")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STOPWORDS = _listed(
    """a à afin ai ainsi alors après as au aucun aucune aujourd'hui auquel aura aurait aussi autre
    autres aux avant avec avez avoir avons ayant bien bonjour bonsoir car ce ceci cela celle celles
    celui cependant ces cet cette ceux chaque chez ci comme comment cordialement dans de déjà depuis
    des donc dont du elle elles en encore entre es est et étaient était étant êtes être eu eux fait
    faire faut fois font hors ici il ils je jusqu la là laquelle le lequel les lesquelles lesquels
    leur leurs lors lorsque lui ma madame mais me même mêmes merci mes messieurs mesdames moi moins
    mon monsieur ne ni non nos notre nous on ont or ou où oui par parce pas pendant peu peut peuvent
    plus plutôt pour pourquoi pourra pourrait pourriez pouvez pouvons pouvoir puis puisque puisse
    qu quand que quel quelle quelles quels quelque quelques qui quoi sa sans se selon sera serait
    seront ses si sinon soit son sont sous suis sur ta te tels telle telles tel tes toi ton tous
    tout toute toutes très tu un une va vers veuillez voici voir vont vos votre vous vouloir y été
    savoir connaître souhaite souhaitons souhaiterais souhaiterions voudrais voudrions aimerais
    aimerions indiquer préciser dire informer confirmer renseigner expliquer merci prie avance
    the of and to in is are for on at by with from that this it be as an or we you our your can
    could would please what which how when where who does do i if any there have
    has will not"""
)
_AIL = {"travaux": "travail", "vitraux": "vitrail", "émaux": "émail"}
_FAMILIES = {
    "depot": "depos",
    "demarr": "commenc",
    "demarrag": "commenc",
    "debut": "commenc",
    "paiement": "pay",
    "pai": "pay",
    "scolair": "ecol",
    "subvent": "aid",
    "docu": "piec",
    "justif": "piec",
    "fourn": "joindr",
    "mail": "courriel",
    "email": "courriel",
    "tarif": "cout",
    "prix": "cout",
    "rejet": "refus",
    "eligibil": "elig",
    "obligatoir": "oblig",
    "obligat": "oblig",
}
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        _listed(
            "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
            "quinze seize"
        )
    )
    if value > 1
} | {"vingt": "20", "trente": "30", "quarante": "40", "cinquante": "50", "soixante": "60"}
_NUMBER_WORDS |= {"cent": "100", "mille": "1000"}
_ENGLISH_NUMBERS = {
    word: str(value)
    for value, word in enumerate(_listed("two three four five six seven eight nine ten"), start=2)
}
_SPACES = "\u00a0\u202f\u2009"
_NUMBER = re.compile(
    rf"(?<![\w.,])\d{{1,3}}(?:[ {_SPACES}]\d{{3}})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*", re.UNICODE
)


def fold(text: str) -> str:
    """Lower case without accents; ligatures are taken apart."""
    text = text.lower().replace("œ", "oe").replace("æ", "ae").replace("’", "'")
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


_FOLDED_STOPWORDS = frozenset(fold(word) for word in _STOPWORDS)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The folded stem of one word, accents folded after stemming (the stemmer needs them)."""
    return fold(str(_STEMMER.stemWord(word.lower())))


@lru_cache(maxsize=65536)
def _term(raw: str) -> str | None:
    word = _INVERSION.sub("", _ELISION.sub("", raw.lower().replace("’", "'")))
    folded = fold(word)
    if folded in _FOLDED_STOPWORDS or (len(folded) < 2 and not folded.isdigit()):
        return None
    return _family(stem(_singular(word)))


def _singular(word: str) -> str:
    """« travaux » and « régionaux » in the singular, which the stemmer does not reach."""
    if word.endswith("aux") and len(word) > 5:
        return _AIL.get(word, f"{word[:-3]}al")
    return word


def _family(stemmed: str) -> str:
    """One stem for words that an administration and its public use for the same thing."""
    # « cofinancé » answers « financé »: the prefix adds a nuance that no question turns on.
    plain = stemmed.removeprefix("co") if stemmed.startswith("cofinanc") else stemmed
    return _FAMILIES.get(plain, plain)


def words(text: str) -> list[str]:
    """Words as written, hyphenated ones whole."""
    return _WORD.findall(text)


def terms(text: str) -> list[str]:
    """Stems of the content words of ``text``, in order; figures are kept as they are."""
    return [term for raw in words(text) if (term := _term(raw)) is not None]


def numbers(text: str) -> list[str]:
    """Figures of ``text`` in one writing: ``1 500,50`` is ``1500.5``, ``deux`` is ``2``."""
    found = [_plain(match) for match in _NUMBER.findall(text)]
    for word in words(text):
        lower = word.lower()
        if value := _NUMBER_WORDS.get(lower) or _ENGLISH_NUMBERS.get(lower):
            found.append(value)
    return found


def _plain(number: str) -> str:
    number = re.sub(rf"[ {_SPACES}]", "", number)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", number) and not number.startswith("0"):
        # English thousands and a French decimal look alike; three digits read as thousands.
        number = number.replace(",", "")
    number = number.replace(",", ".")
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0"
