"""What kind of answer a question waits for, and whether a sentence looks like one."""

from __future__ import annotations

import re

from services.generate import sentences
from services.generate.french import fold, terms
from services.generate.units import Unit

_MONTHS = (
    "janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre"
    "|january|february|march|april|june|july|august|september|october|november|december"
)
_SPANS = r"(?:jours?|mois|ans?|annees?|semaines?|heures?|days?|months?|years?|weeks?)"
_NUMBER = r"(?:\d|\b(?:deux|trois|quatre|cinq|six|sept|huit|neuf|dix|douze|quinze|vingt|trente)\b)"

_ASKS: dict[str, re.Pattern[str]] = {
    "amount": re.compile(
        r"\b(?:combien|montants?|couts?|prix|tarifs?|taux|plafonds?|budget|pourcentage|quelle part"
        r"|somme|baremes?|seuils?|how much|how many|amounts?|costs?|rates?|percentage|fees?"
        r"|price)\b"
    ),
    "date": re.compile(
        r"\b(?:quand|quelle date|dates?|delais?|echeances?|jusqu'a quand|calendrier|duree"
        r"|combien de temps|avant quel|a partir de quand|cloture|when|deadlines?|how long"
        r"|until)\b"
    ),
    "contact": re.compile(
        r"\b(?:contacts?|contacter|joindre|telephone|adresse|courriel|e-?mail|mail|interlocuteurs?"
        r"|a qui|aupres de qui|s'adresser|envoyer|coordonnees|phone|address|reach)\b"
    ),
    "procedure": re.compile(
        r"\b(?:comment|demarches?|etapes?|procedure|deposer|faire la demande"
        r"|how (?:do|can|to|should)|steps?|apply)\b"
    ),
    "papers": re.compile(
        r"\b(?:pieces?|documents?|justificatifs?|dossier|joindre|fournir|papers|provide)\b"
    ),
    "definition": re.compile(
        r"\b(?:qu'est[- ]ce qu|definition|que signifie|que veut dire|c'est quoi|en quoi consiste"
        r"|what is|what are|meaning)"
    ),
    "verdict": re.compile(
        r"\b(?:est-ce qu|peut-(?:on|il|elle)|peuvent-|pouvons-nous|puis-je|pourrions-nous"
        r"|pourrait-|est-(?:il|elle)|sont-(?:ils|elles)|faut-il|doit-(?:on|il|elle)|devons-nous"
        r"|dois-je|avons-nous|a-t-|ai-je|suis-je|sommes-nous|si (?:nous|notre|une?|l[ea']|on|je|c')"
        r"|eligibles?|possible|obligatoire|droit|can (?:we|i)|may (?:we|i)|is it|are we|do we"
        r"|eligible)"
    ),
}
_LOOKS: dict[str, re.Pattern[str]] = {
    "amount": re.compile(rf"{_NUMBER}[^.;]{{0,24}}(?:%|€|euros?|milliards?|millions?)|\d"),
    "date": re.compile(
        rf"{_NUMBER}\s*(?:er)?\s*(?:{_MONTHS})|{_NUMBER}[^.;]{{0,16}}\b{_SPANS}\b|\b\d{{1,2}}/\d{{1,2}}"
        r"|\b(?:avant|apres|des que|a compter|a partir|jusqu'|une fois|au plus tard)\b"
        r"|toute l'annee|au fil de l'eau|aucune date"
    ),
    "contact": re.compile(
        r"\S@\S|\b0\d(?:[ .]?\d\d){4}\b|\b3\d{3}\b|\badress\w+|\bguichet|\bcontact\w*|\btelephon\w+"
    ),
    "procedure": re.compile(
        r"\b(?:depos\w+|etapes?|adress\w+|transm\w+|remplir|demande\w*|en ligne|doi(?:t|vent)|puis"
        r"|ensuite|d'abord|il faut)\b"
    ),
    "papers": re.compile(
        r"\b(?:comprend|comporte|contient|pieces?|justificatifs?|attestations?|joint\w*|accompagn\w+"
        r"|fournir|plan de financement|deliberation|devis)\b"
    ),
    "definition": re.compile(
        r"^.{0,60}?\b(?:est|sont|designe\w*|consiste|permet|correspond|signifie|vise|regroupe"
        r"|s'appelle|soutient)\b"
    ),
    "verdict": re.compile(
        r"^(?:oui|non)\b|\b(?:peut|peuvent|pouvez|doit|doivent|devez|est possible|n'est pas"
        r"|ne sont pas|ne peut|ne peuvent|eligibles?|sont (?:finances|pris|compris|admis)"
        r"|est (?:finance|pris|compris|admis|exige|obligatoire)|interdit\w*"
        r"|exclus?e?s?|obligatoires?|sauf si|ouvert)\b"
    ),
}
_AND = re.compile(
    r",?\s+(?:et|and)\s+(?=(?:quel\w*|comment|combien|quand|où|qui|à qui|auprès|faut-il|peut-on"
    r"|est-ce|son|sa|ses|leurs?|what|how|when|where|who|which|can|is|are|do)\b"
    r"|[^?,]{3,60}?-(?:t-)?(?:il|elle|on|nous|ils|elles)\b)",
    re.IGNORECASE,
)
_DISCLAIMS = re.compile(
    r"\bsont (?:generales?|inventee?s?|fictifs?|fictives?|illustratifs?|illustratives?)\b"
    r"|^document illustratif|pour la demonstration"
    # Captions, and letters that repeat what they answer.
    r"|^(?:tableau|figure|graphique|annexe) \d{1,2}\b|^seule?s? (?:faits?|la section)\b"
    r"|^(?:le|les|ce) (?:tableaux?|schemas?|graphiques?) (?:suivant|ci-)"
    r"|^vous (?:nous )?(?:demandez|interrogez|avez demande)\b"
)
_ABOUT_ITSELF = re.compile(
    r"^(?:(?:ce|le present|cette|la presente|les)?\s*(?:document|page|fiche|note|brochure|guide"
    r"|site|article|rubrique)s?\b|document illustratif|derniere mise a jour|mis a jour|sommaire"
    r"|voir aussi|pour en savoir plus|pour (?:plus|connaitre)\b.{0,60}\b(?:consultez|rendez)"
    r"|cliquez|consultez|telechargez|retrouvez|decouvrez|renseignez-vous|tour d'horizon"
    r"|source\s*:)"
    r"|\bcliqu(?:er|ez|ant)\b|\bci-(?:contre|dessous|apres)\b.{0,12}$"
)

_LEAST_FACET = 2
"""Content words that each question of a sentence must have to be answered on its own."""


def kinds(question: str) -> frozenset[str]:
    """The kinds of answer that ``question`` waits for; may be none or several."""
    folded = fold(question)
    return frozenset(kind for kind, pattern in _ASKS.items() if pattern.search(folded))


def fits(wanted: frozenset[str], unit: Unit) -> float:
    """How much ``unit`` looks like the kinds ``wanted``: the share of them it shows, in [0, 1]."""
    if not wanted:
        return 0.0
    folded = fold(unit.text)
    shown = sum(1 for kind in wanted if _LOOKS[kind].search(folded))
    if unit.kind == "list" and wanted & {"papers", "procedure"}:
        shown += 1
    return min(1.0, shown / len(wanted))


def last_sentence(question: str) -> str:
    """The sentence that asks, without what the e-mail told before it."""
    pieces = [piece for line in question.splitlines() for piece in sentences.split(line)]
    return next((piece for piece in reversed(pieces) if sentences.is_question(piece)), question)


def speaks_of_itself(unit: Unit) -> bool:
    """Whether the sentence is about the document or the page instead of its matter."""
    return bool(_ABOUT_ITSELF.search(fold(unit.text)))


def illustrates(question: str, unit: Unit) -> bool:
    """Whether the unit belongs to a worked example, and the question asks for none."""
    return "exemple" in fold(unit.context) and "exemple" not in fold(question)


def disclaims(unit: Unit) -> bool:
    """Whether the sentence only warns about the document: never an answer."""
    return bool(_DISCLAIMS.search(fold(unit.text)))


def facets(question: str) -> list[str]:
    """The questions that one sentence puts together (« … et la climatisation est-elle admise ? »).

    The whole question alone when it is one.
    """
    pieces = [piece.strip(" ,?\u00a0\u202f") for piece in _AND.split(question)]
    # « … et jusqu'à quel total ? » says too little to look for it alone.
    whole = all(len(terms(piece)) >= _LEAST_FACET for piece in pieces)
    return pieces if whole and len(pieces) > 1 else [question]
