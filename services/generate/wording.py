"""Our own sentences around the statements, in French and in English, and how questions are named.

An e-mail's words come into a reply only as a quoted question, and only when that is harmless.
"""

from __future__ import annotations

import re

from services.generate import asking
from services.generate.answer import Language
from services.generate.french import fold

MAX_QUOTED = 150
"""Characters of a question that are quoted."""

_UNSAFE = re.compile(
    r"https?:|www\.|\S@\S|[\[\]{}<>|`\\\x00-\x1f]|\w\.(?:com|fr|net|org|io|ru|info)\b"
)
_NAMED_OPENING = re.compile(r"^\W*(madame|monsieur|mesdames|messieurs)\b")
_POLITE_LEAD = re.compile(
    r"^(?:bonjour|bonsoir|hello|madame|monsieur|enfin|également|aussi|par ailleurs|d'autre part"
    r"|d'une part|et|de plus|ensuite|also|and)(?:\s*[,:!]\s*|\s+)",
    re.IGNORECASE,
)
_ORDINALS: dict[Language, tuple[str, ...]] = {
    "fr": ("première", "deuxième", "troisième", "quatrième", "cinquième", "sixième"),
    "en": ("first", "second", "third", "fourth", "fifth", "sixth"),
}
_THANKS: dict[Language, str] = {
    "fr": "Nous vous remercions de votre message. Voici les éléments que nous pouvons vous "
    "apporter.",
    "en": "Thank you for your message. Here is the information that we can give you.",
}
_QUOTES_IN_FRENCH = (
    "Our documents are in French; the passages that answer you are quoted below in that language."
)
_DISPOSAL: dict[Language, str] = {
    "fr": "Nous restons à votre disposition pour toute précision complémentaire.",
    "en": "Please do not hesitate to contact us should you need any further information.",
}
_REGARDS: dict[Language, str] = {"fr": "Cordialement,", "en": "Kind regards,"}


def greeting(language: Language, mail_text: str) -> str:
    """The opening; « Madame, Monsieur, » when the e-mail itself opens so formally."""
    if language == "en":
        return f"Hello,\n\n{_THANKS['en']}"
    formal = _NAMED_OPENING.match(fold(mail_text[:80]))
    return f"{'Madame, Monsieur,' if formal else 'Bonjour,'}\n\n{_THANKS['fr']}"


def closing(language: Language, signature: str) -> str:
    """The end of the reply with the mailbox's signature."""
    return f"{_DISPOSAL[language]}\n\n{_REGARDS[language]}\n{signature.strip()}"


def french_quotes() -> str:
    """Tells an English reader why the statements are in French."""
    return _QUOTES_IN_FRENCH


def quoted(question: str, number: int, language: Language) -> str:
    """« votre question « … » », or its rank when quoting it would not be safe or readable."""
    plain = " ".join(asking.last_sentence(question).split())
    plain = _POLITE_LEAD.sub("", plain) or plain
    if _UNSAFE.search(plain) or not plain.endswith("?") or len(plain) > MAX_QUOTED:
        ordinals = _ORDINALS[language]
        rank = ordinals[number] if number < len(ordinals) else f"n° {number + 1}"
        return f"votre {rank} question" if language == "fr" else f"your {rank} question"
    plain = plain[0].upper() + plain[1:]
    plain = plain.replace("«", "“").replace("»", "”")
    return f"votre question « {plain} »" if language == "fr" else f"your question “{plain}”"


def about(named: str, language: Language) -> str:
    """Opens the statements on one of several questions."""
    return f"Concernant {named} :" if language == "fr" else f"Regarding {named}:"


def answered_above(named: str, language: Language) -> str:
    """For a question that the statements on an earlier one answer too."""
    if language == "fr":
        return f"Les éléments qui précèdent répondent aussi à {named}."
    return f"The information above also answers {named}."


def left_open(named: str, language: Language) -> str:
    """For a question that the documents do not answer."""
    if language == "fr":
        return (
            f"Nos documents ne nous permettent pas de répondre à ce stade à {named} : "
            "nous reviendrons vers vous séparément sur ce point."
        )
    return (
        f"Our documents do not allow us to answer {named} at this stage: "
        "we will come back to you separately on this point."
    )
