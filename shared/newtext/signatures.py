"""Find what ends a message: closings, names, signatures, and the footers below them.

Removing too little leaves a name in the text; removing too much loses a question. So a tail is
only taken for a signature when it is short and asks nothing (`asking.is_request`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.newtext.asking import is_request
from shared.newtext.footers import is_disclaimer, is_mobile_footer
from shared.newtext.mail_lines import MAX_MATCHED_CHARS, is_quoted, plain

MAX_SIGNATURE_LINES = 15
MAX_DISCLAIMER_LINES = 60
MAX_PARAGRAPH = 900
MAX_TAIL_LINES = 200
"""Where an end is looked for: no line above can be followed by that much of a signature."""
MAX_BARE_CLOSING_LINES = 2
"""Lines below a closing that may stay in the text: a name, a word."""

Span = tuple[int, int]

_DELIMITER = re.compile(r"^(?:--|[—–]+|_{2,}|-- .{0,3})$")
# Also the name that stands where a picture was.
_RULER = re.compile(r"^(?:[-_=*~#+—–\s]|\\|\[(?:cid|image)\b[^\]]{0,200}\])*$", re.IGNORECASE)

_NAME = r"[A-ZÉÈÀÂÎÄÖÜÁÍÓÚÑ][\w.'-]*(?:[ -][A-ZÉÈÀÂÎÄÖÜÁÍÓÚÑ][\w.'-]*){0,3}"
_CLOSING = re.compile(
    r"^(?:(?:bien|très|en vous remerciant[^.?]{0,60}?,?|merci(?: d'avance| par avance| "
    r"beaucoup)?,?)\s+){0,3}"
    r"(?:cordialement|cordialement vôtre|respectueusement|amicalement|sincèrement"
    r"|c(?:or)?d(?:ia)?le?m?t|(?:sincères |meilleures |mes |nos ){0,3}salutations"
    r"|bien à (?:vous|toi)"
    r"|bonne (?:journée|soirée|réception|continuation|fin de journée|fin de semaine|semaine)"
    r"|bon (?:week-end|weekend|après-midi)"
    r"|avec mes (?:remerciements|salutations|sentiments))"
    r"(?: (?:à vous|à tous|à toutes et à tous|vôtre|distinguées|les meilleures)){0,2}"
    rf"(?: et [^?]{{3,40}})?[\s,.!;:)]{{0,4}}(?:{_NAME}[.,]?)?$",
    re.IGNORECASE,
)
# The long formulas: all that follows on their line belongs to them, unless it asks.
_FORMULA = re.compile(
    r"^(?:(?:je|nous) vous (?:prie|prions|souhaite|souhaitons)[^?]{0,40}?"
    r"(?:d'agréer|d'accepter|de croire|de recevoir|de bien vouloir agréer|une (?:bonne|agréable"
    r"|excellente))\b"
    r"|veuillez (?:agréer|recevoir|croire|accepter)\b|recevez\b(?=[^?]{0,160}salutations)"
    r"|(?:dans l'attente|en vous remerciant|en vous souhaitant)\b[^?]{0,120}?"
    r"(?:je vous prie d'agréer|veuillez (?:agréer|recevoir|croire)))[^?]*$",
    re.IGNORECASE,
)
_MAX_FORMULA = 300
# A clause that only leads to the name below it: it ends with a comma.
_LEADING_TO_NAME = re.compile(
    r"^(?:merci|avec (?:mes|nos|tous|toute)|(?:en )?(?:vous|te) (?:remerciant|souhaitant)|(?:en "
    r")?restant"
    r"|dans l'attente|dans cette attente|en attendant|en espérant|comptant sur)\b[^.?!;:]{0,160},$",
    re.IGNORECASE,
)
# Closings that are kept when only a name follows: most measured sets count them as the reply.
_OTHER_CLOSING = re.compile(
    r"^(?:(?:with )?(?:my )?(?:best|kind|kindest|warm|warmest) (?:regards|wishes)|regards|sincerely"
    r"|best|yours (?:sincerely|faithfully|truly)|sincerely yours|cheers|many thanks|thanks"
    r"|thank you|thanks (?:a lot|again|in advance|so much)"
    r"|(?:mit )?(?:freundliche[nm]?|besten?|vielen?|lieben?|herzlichen?|schönen?|sonnigen?) "
    r"gr(?:ü|ue)(?:ß|ss)(?:en?)?|mit freundlichem gru(?:ß|ss)|gru(?:ß|ss)|gr(?:ü|ue)(?:ß|ss)e"
    r"|hochachtungsvoll|mfg|(?:vielen|herzlichen|besten) dank(?: im voraus)?|danke(?: im voraus)?"
    r"|(?:un |reciba[n]? un )?(?:cordial |afectuoso |atento )?saludos?(?: cordial(?:es)?)?"
    r"|(?:muy )?atentamente|(?:muchas )?gracias(?: de antemano| por adelantado)?"
    r"|(?:i (?:miei|nostri) )?(?:cordiali|distinti|migliori) saluti|saluti|cordialmente"
    r"|un cordiale saluto|(?:grazie|molte grazie|grazie mille)(?: in anticipo)?"
    r"|atenciosamente|(?:melhores |com os melhores )?cumprimentos|obrigad[oa]"
    r"|met vriendelijke groet(?:en)?|groeten|mvg|(?:med )?vänliga hälsningar|mvh"
    r"|(?:med )?venlig hilsen|(?:med )?vennlig hilsen)[\s,.!]*$",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"(?:\b(?:tél|tel|téléphone|phone|mobile|mob|port|portable|fax|gsm|ligne directe"
    r"|standard|telefon|handy|teléfono|móvil|telefono|cell(?:ulare)?|telefax|ph)\b\.?\s?:?"
    r"|(?:\+\d{2}|\b0)\s?[1-9](?:[\s.-]?\d{2}){4}\b|\+\d{1,3}[\s.(-]{0,2}\d[\d\s.()-]{6,16}\d\b"
    r"|☎|✆|📧|📱|\bwww\.|https?://|^\S+@\S+\.\w+>?$)",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"^(?:p\.?\s?-?s\.?|post-scriptum|nb|n\.b\.)\s?[:\-–.,]", re.IGNORECASE)
# "-Jean Dupont" below an empty line: how people sign who sign by hand.
_SIGNED = re.compile(rf"^-\s?{_NAME}$")


def kept_lines(lines: Sequence[str]) -> list[int]:
    """The positions of `lines` without the signature, closing, footer or disclaimer below them."""
    first = max(0, len(lines) - MAX_TAIL_LINES)
    texts = [plain(line) for line in lines[first:]]
    kept = _without_rulers(texts, list(range(len(texts))))
    for find in (_delimiter, _disclaimer, _mobile, _closing, _contact_block, _signed):
        start, stop = find([texts[position] for position in kept])
        kept = _without_rulers(texts, kept[:start] + kept[stop:])
    return [*range(first), *(first + position for position in kept)]


def is_ruler(line: str) -> bool:
    """Whether `line` holds nothing but drawing characters or spaces."""
    return bool(_RULER.match(plain(line)))


def is_closing(line: str) -> bool:
    """Whether `line` is a closing formula, in any of the languages known."""
    text = plain(line)
    return _is_formula(text) or bool(_OTHER_CLOSING.match(text) or _LEADING_TO_NAME.match(text))


def _is_formula(text: str) -> bool:
    """Whether `text` is a French closing: these are cut whatever follows them."""
    return bool(_CLOSING.match(text) or (len(text) <= _MAX_FORMULA and _FORMULA.match(text)))


def _without_rulers(texts: Sequence[str], kept: list[int]) -> list[int]:
    while kept and _RULER.match(texts[kept[-1]]):
        kept.pop()
    return kept


def _asks_nothing(tail: list[str], limit: int) -> bool:
    """Whether `tail` has at most `limit` filled lines, none of them a paragraph or a request.

    A disclaimer may ask ("do you really need to print this?"): that is no request of the sender.
    """
    filled = 0
    for line in tail:
        if not line:
            continue
        filled += 1
        if filled > limit:
            return False
        if (len(line) > MAX_PARAGRAPH or is_request(line)) and not is_disclaimer(line):
            return False
    return True


def _above(lines: list[str], index: int) -> bool:
    return any(not _RULER.match(line) for line in lines[:index])


def _nothing(lines: list[str]) -> Span:
    return len(lines), len(lines)


def _delimiter(lines: list[str]) -> Span:
    for index, text in enumerate(lines):
        if not _DELIMITER.match(text):
            continue
        limit = MAX_DISCLAIMER_LINES if text == "--" else MAX_SIGNATURE_LINES
        if _asks_nothing(lines[index + 1 :], limit) and not _inside_code(lines, index):
            return index, len(lines)
    return _nothing(lines)


def _inside_code(lines: list[str], index: int) -> bool:
    return sum(line.startswith("```") for line in lines[:index]) % 2 == 1


def _disclaimer(lines: list[str]) -> Span:
    for index, line in enumerate(lines):
        # Matched over three lines: disclaimers are long sentences, wrapped anywhere.
        window = " ".join(lines[index : index + 3])[:MAX_MATCHED_CHARS]
        starts = index == 0 or not lines[index - 1] or is_disclaimer(line)
        if not (starts and line and is_disclaimer(window)):
            continue
        if _above(lines, index) and _asks_nothing(lines[index:], MAX_DISCLAIMER_LINES):
            return index, len(lines)
    return _nothing(lines)


def _mobile(lines: list[str]) -> Span:
    for index, line in enumerate(lines):
        if not is_mobile_footer(line):
            continue
        rest = [other for other in lines[index + 1 :] if not is_mobile_footer(other)]
        if _asks_nothing(rest, MAX_SIGNATURE_LINES // 2):
            return index, len(lines)
    return _nothing(lines)


def _closing(lines: list[str]) -> Span:
    for index, text in enumerate(lines):
        tail = lines[index + 1 :]
        if _LEADING_TO_NAME.match(text) and _is_name_block(tail):
            return index, len(lines)
        if not _is_formula(text) and not (_OTHER_CLOSING.match(text) and _is_card(tail)):
            continue
        near = tail[: 2 * MAX_SIGNATURE_LINES]
        added = next((i for i, other in enumerate(near) if _POSTSCRIPT.match(other)), None)
        if _above(lines, index) and _asks_nothing(tail[:added], MAX_SIGNATURE_LINES):
            return index, len(lines) if added is None else _end_of_paragraph(lines, index + added)
    return _nothing(lines)


def _end_of_paragraph(lines: list[str], last: int) -> int:
    """The line after the last filled one up to `last`: an empty one stays before a postscript."""
    while not lines[last]:
        last -= 1
    return last + 1


def _is_card(tail: list[str]) -> bool:
    """Whether more than a name follows a closing: contact details, a function, an organisation."""
    filled = [line for line in tail[: 2 * MAX_SIGNATURE_LINES] if line]
    if any(_CONTACT.search(line) for line in filled):
        return True
    return len(filled) > MAX_BARE_CLOSING_LINES and _is_name_block(tail)


def _is_name_block(tail: list[str]) -> bool:
    """Whether `tail` is a few short lines that are no sentences, such as a name and a function."""
    filled = [line for line in tail[: 2 * MAX_SIGNATURE_LINES] if line]
    short = all(len(line) <= 80 and not line.endswith((".", ":", ";", "!")) for line in filled)
    added = any(_POSTSCRIPT.match(line) for line in filled)
    return len(filled) <= 6 and short and not added and _asks_nothing(tail, 6)


def _contact_block(lines: list[str]) -> Span:
    """A last paragraph that is only a name, a function, a telephone, an address."""
    start = len(lines)
    while start and lines[start - 1]:
        start -= 1
    block = lines[start:]
    before = next((line for line in reversed(lines[:start]) if line), "")
    looks_like_one = (
        2 <= len(block) <= 8
        and all(len(line) <= 80 and not line.endswith((".", ":", ";")) for line in block)
        and any(_CONTACT.search(line) for line in block)
        and not any(is_quoted(line) or line.startswith(("-", "*", "•")) for line in block)
    )
    if looks_like_one and before and not before.endswith(":") and _asks_nothing(block, 8):
        return start, len(lines)
    return _nothing(lines)


def _signed(lines: list[str]) -> Span:
    if len(lines) > 2 and _SIGNED.match(lines[-1]) and not lines[-2]:
        before = next((line for line in reversed(lines[:-1]) if line), "")
        if not before.startswith("-"):
            return len(lines) - 1, len(lines)
    return _nothing(lines)
