"""Checks of a draft's statements; what fails is removed, and each check is told, passed or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.generate import facts, leaking, polarity, support, tongue
from services.generate.answer import EnginePart, Language
from services.generate.french import fold, terms, words
from services.generate.support import cited_text
from shared.records import Check, Passage

SAME = 0.85
"""Overlap of words from which two statements with the same facts say the same."""
_SHOWN = 90
"""Characters of a removed statement that the reviewer is shown."""
PASSED = {
    "citations": "Chaque énoncé cite un ou plusieurs des passages fournis.",
    "support": "Chaque énoncé s'appuie sur les passages qu'il cite.",
    "facts": "Chiffres, dates et coordonnées se trouvent tous dans les passages cités.",
    "polarity": "Aucun énoncé ne dit le contraire de la phrase dont il est proche.",
    "repetition": "Aucun énoncé n'est répété.",
    "language": "Le projet est dans la langue de la réponse attendue.",
    "prompt": "Aucune consigne donnée au moteur n'apparaît dans le texte.",
}
"""The checks in the order in which they are told."""
_QUOTES = "Les passages cités sont en français, ce que la réponse annonce."
_FOREIGN = (
    "La réponse n'est pas dans la langue des documents : les énoncés ont été comparés par le sens, "
    "leurs chiffres, dates et coordonnées un à un."
)
_OTHER = "Le courriel n'est ni en français ni en anglais ({}) : le projet est en français."


@dataclass(frozen=True, slots=True)
class Grounds:
    """What statements are checked against.

    ``prompt``: all that the engine was told, passages and e-mail included; ``cosines``: of a
    statement by its index with its nearest sentence; ``quotes``: statements are announced as
    quotes in the documents' language; ``language`` is the reply's, which may not be the e-mail's.
    """

    passages: Sequence[Passage]
    mail_text: str
    earlier: tuple[str, ...] = ()
    prompt: str = ""
    language: Language = "fr"
    cosines: Mapping[int, float] = field(default_factory=dict)
    quotes: bool = False
    mail_language: str = "fr"

    @property
    def foreign(self) -> bool:
        """Whether statements are in another language than the documents, so words differ."""
        return self.language != "fr" and not self.quotes

    @property
    def data(self) -> tuple[str, ...]:
        """What the prompt shows and a statement may repeat."""
        return (*map(leaking.passage_text, self.passages), self.mail_text, *self.earlier)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a statement cannot stand: the check that it fails, and the reason (French)."""

    check: str
    why: str


def examine(
    parts: Sequence[EnginePart], grounds: Grounds, dropped: int = 0
) -> tuple[tuple[EnginePart, ...], tuple[Check, ...]]:
    """The parts that stand, and all checks in words; ``dropped`` citations pointed nowhere."""
    faults: list[tuple[EnginePart, Fault]] = []
    kept: list[EnginePart] = []
    repeated: list[str] = []
    for index, part in enumerate(parts):
        fault = None if part.connective else why_not(part, grounds, grounds.cosines.get(index))
        if fault is None and not part.connective and _says_again(part, kept):
            fault = Fault("repetition", "déjà dit")
        if fault is None:
            kept.append(part)
            repeated += [] if part.connective else _repeated(part, grounds)
        else:
            faults.append((part, fault))
    return without_idle_connectives(kept), tuple(_told(faults, dropped, repeated, grounds))


def why_not(part: EnginePart, grounds: Grounds, cosine: float | None = None) -> Fault | None:
    """The first fault of a statement; ``cosine`` with its nearest cited sentence if known."""
    return next(_faults(part, grounds, cosine), None)


def _faults(part: EnginePart, grounds: Grounds, cosine: float | None) -> Iterator[Fault]:
    if not terms(part.text):
        yield Fault("support", "énoncé vide")
    if not part.citations:
        yield Fault("citations", "énoncé sans source")
    if leaking.leaks(part.text, grounds.prompt, grounds.data):
        yield Fault("prompt", "texte de consigne")
    if not grounds.quotes and (other := tongue.other_than(grounds.language, part.text)):
        yield Fault("language", f"énoncé dans une autre langue ({other})")
    cited = cited_text(part, grounds.passages)
    lacking = facts.missing(part.text, cited)
    told = facts.from_mail(lacking, grounds.mail_text)
    if lacking.keys() - told.keys():
        yield Fault("facts", _lacking({f: w for f, w in lacking.items() if f not in told}))
    if not grounds.foreign:
        if names := facts.unknown_names(part.text, f"{cited}\n{grounds.mail_text}"):
            yield Fault("facts", _lacking(names))
        if polarity.contradicts(part.text, cited):
            yield Fault("polarity", "énoncé contraire au passage cité")
    near = support.by_words(part, grounds.passages)
    if not support.supported(near, cosine, foreign=grounds.foreign):
        yield Fault("support", "énoncé trop éloigné des passages cités")


def _lacking(lacking: Mapping[str, str]) -> str:
    kinds = dict.fromkeys(facts.KINDS[fact.split(":")[0]] for fact in lacking)
    shown = ", ".join(f"« {written} »" for written in list(lacking.values())[:4])
    return f"{' et '.join(kinds)} absent des passages cités et du courriel ({shown})"


def _repeated(part: EnginePart, grounds: Grounds) -> list[str]:
    """What the statement has of the e-mail only, as written."""
    lacking = facts.missing(part.text, cited_text(part, grounds.passages))
    return list(facts.from_mail(lacking, grounds.mail_text).values())


def _says_again(part: EnginePart, before: Sequence[EnginePart]) -> bool:
    return any(not other.connective and same(part.text, other.text) for other in before)


def same(one: str, other: str) -> bool:
    """Whether two statements say the same: nearly the same words, and the same facts."""
    left, right = words(fold(one)), words(fold(other))
    if left == right:
        return True
    mine, theirs = set(terms(one)), set(terms(other))
    alike = len(mine & theirs) >= SAME * max(len(mine), len(theirs), 1)
    # Rows of a table differ in a word or a figure, and those matter.
    row = one.startswith("– ") or other.startswith("– ")
    denied = polarity.denies(one) != polarity.denies(other)
    return alike and not row and not denied and set(facts.claims(one)) == set(facts.claims(other))


def without_idle_connectives(parts: Sequence[EnginePart]) -> tuple[EnginePart, ...]:
    """Without the connectives that announce statements (« … : ») when none of them is left."""
    kept: list[EnginePart] = []
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else None
        announces = part.connective and part.text.endswith(":")
        if announces and (following is None or following.connective):
            continue
        kept.append(part)
    return tuple(kept)


def degenerate(texts: Sequence[str]) -> bool:
    """Whether an engine got stuck: a stretch of words again and again, or one part repeated."""
    whole = [word for text in texts for word in words(fold(text))]
    if len(texts) > 2 and len({fold(text).strip() for text in texts}) <= len(texts) // 2:
        return True
    size = 6
    counts = Counter(tuple(whole[i : i + size]) for i in range(len(whole) - size + 1))
    return bool(counts) and counts.most_common(1)[0][1] >= 4


def _told(
    faults: Sequence[tuple[EnginePart, Fault]],
    dropped: int,
    repeated: Sequence[str],
    grounds: Grounds,
) -> Iterator[Check]:
    for name, passed in (PASSED | _circumstances(grounds)).items():
        own = [(part, fault.why) for part, fault in faults if fault.check == name]
        details = [f"{why} : « {_short(part.text)} »" if part.text else why for part, why in own]
        said = f"Retiré du projet ({len(own)}) : {' ; '.join(details)}." if own else ""
        if name == "citations" and dropped:
            said = f"Renvois à des passages inexistants retirés : {dropped}. {said}".strip()
        if name == "facts" and repeated:
            shown = ", ".join(f"« {written} »" for written in dict.fromkeys(repeated))
            said = f"{said} Repris du courriel, à vérifier : {shown}.".strip()
        yield Check(name=name, passed=not said, detail=said or passed)
    if not grounds.mail_language.startswith(("fr", "en")):
        detail = _OTHER.format(grounds.mail_language)
        yield Check(name="mail-language", passed=False, detail=detail)


def _circumstances(grounds: Grounds) -> dict[str, str]:
    """What passing means where reply and documents differ in language."""
    if grounds.quotes:
        return {"language": _QUOTES}
    return {"support": _FOREIGN} if grounds.foreign else {}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1].rsplit(' ', 1)[0]}…"
