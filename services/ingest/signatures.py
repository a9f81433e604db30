"""Strip what follows the message itself: signatures, closings, mobile footers, disclaimers.

Removing too little leaves a name in the text; removing too much loses a question. So a tail is
only taken for a signature when it is short and asks nothing (`asking.is_request`).
"""

from __future__ import annotations

import re

from services.ingest.asking import is_request
from services.ingest.quoting import MAX_MATCHED_CHARS, is_quoted, plain

MAX_SIGNATURE_LINES = 15
MAX_DISCLAIMER_LINES = 60

_DELIMITER = re.compile(r"^(?:--|—|–|_{3,}|-- .{0,3})$")
_RULER = re.compile(r"^(?:[-_=*~#+—–\s]|\\)*$")

_CLOSING = re.compile(
    r"^(?:(?:bien|très|en vous remerciant[^.?]{0,60}?,?|merci(?: d'avance| par avance| "
    r"beaucoup)?,?)\s+)*"
    r"(?:cordialement|cordialement vôtre|respectueusement|amicalement|sincèrement"
    r"|c(?:or)?d(?:ia)?le?m?t|(?:sincères |meilleures |mes |nos )*salutations"
    r"|bien à (?:vous|toi)"
    r"|bonne (?:journée|soirée|réception|continuation|fin de journée|fin de semaine|semaine)"
    r"|bon (?:week-end|weekend|après-midi)"
    r"|avec mes (?:remerciements|salutations|sentiments).{0,60}"
    r"|(?:je|nous) vous (?:prie|prions|souhaite|souhaitons)[^?]{0,40}"
    r"(?:d'agréer|d'accepter|de croire|de recevoir|de bien vouloir agréer|une (?:bonne|agréable"
    r"|excellente))"
    r"[^?]{0,160}"
    r"|veuillez (?:agréer|recevoir|croire|accepter)[^?]{0,200}"
    r"|recevez,? [^?]{0,160}salutations[^?]{0,60})"
    r"(?: (?:à vous|à tous|à toutes et à tous|vôtre|distinguées|les meilleures|et .{3,40}))*"
    r"[\s,.!;:)]*(?:[A-ZÉÈÀÂÎ][\w.'-]*(?:[ -][A-ZÉÈÀÂÎ][\w.'-]*){0,3}[.,]?)?$",
    re.IGNORECASE,
)
# A clause that only leads to the name below it: it ends with a comma.
_LEADING_TO_NAME = re.compile(
    r"^(?:merci|avec (?:mes|nos|tous|toute)|(?:en )?(?:vous|te) (?:remerciant|souhaitant)|(?:en "
    r")?restant"
    r"|dans l'attente|dans cette attente|en attendant|en espérant|comptant sur)\b[^.?!;:]{0,160},$",
    re.IGNORECASE,
)
_ENGLISH_CLOSING = re.compile(
    r"^(?:(?:with )?(?:best|kind|kindest|warm|warmest) (?:regards|wishes)|regards|sincerely|best"
    r"|yours (?:sincerely|faithfully|truly)|sincerely yours|cheers|many thanks|thanks|thank "
    r"you)[,.! ]*$",
    re.IGNORECASE,
)
_MOBILE = re.compile(
    r"^[<(\[*_\s]*(?:"
    r"envoyé[es]? (?:de(?:puis)?|à partir de|avec|via|par)\b.{2,90}"
    r"|télécharge[rz] (?:\[?outlook|proton|l'application).{0,80}|obten(?:ez|ir) outlook.{0,60}"
    r"|provenance : courrier.{0,40}"
    r"|(?:someone )?(?:from|sent from|sent via|sent with|sent by|sent using) (?:my |a |the "
    r")?.{2,90}"
    r"|get \[?outlook for .{2,60}|get bluemail.{0,40}"
    r"|von (?:meinem|unterwegs) .{2,60}|diese nachricht wurde von .{2,80}|gesendet (?:von|mit) "
    r".{2,60}"
    r"|enviado (?:desde|do|de|from) .{2,60}|inviato da.{2,60}|verzonden (?:met|vanaf|via) .{2,60}"
    r"|sendt fra .{2,60}|skickat från .{2,60}|wysłane z .{2,60}|отправлено .{2,60}|從我的.{2,40}"
    r")[>)\]*_\s]*$",
    re.IGNORECASE,
)
_FROM_MY = re.compile(r"^from ", re.IGNORECASE)
_DEVICE = re.compile(r"\b(?:mobile|i?phone|ipad|android|blackberry|galaxy)\b", re.IGNORECASE)
_DISCLAIMER = re.compile(
    r"^[\s*_]*(?:(?:avertissement|avis de confidentialité|clause de confidentialité|confidentiality"
    r"|disclaimer|mention légale)\b.{0,60}"
    r"|(?:ce|le (?:contenu de ce|présent)|les informations contenues dans ce)\s+"
    r"(?:message|courriel|mail|e-mail|courrier électronique|mél)\b.*"
    r"(?:confidentiel|destinataire|pièces? jointes?|virus|usage).*"
    r"|this (?:e-?mail|message|communication)\b.*"
    r"(?:confidential|intended|privileged|recipient|virus).*"
    r"|the information (?:contained )?in this (?:e-?mail|message).*"
    r"|(?:pensez à|préservons|protégeons|soucieux de) l?['a]?\s?(?:environnement|planète|nature).*"
    r"|(?:avant d'imprimer|n'imprimez|merci de n'imprimer|please consider the environment"
    r"|think before you print|before printing).*"
    r"|(?:l'absence de virus|garanti sans virus|virus-free|cet e-mail a été vérifié|this email "
    r"has been checked)"
    r".*)",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"(?:\b(?:tél|tel|téléphone|phone|mobile|mob|port|portable|fax|gsm|ligne directe"
    r"|standard)\b\.?\s?:?"
    r"|(?:\+\d{2}|\b0)\s?[1-9](?:[\s.-]?\d{2}){4}\b|☎|✆|\bwww\.|https?://|^\S+@\S+\.\w+>?$)",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"^(?:p\.?\s?-?s\.?|post-scriptum|nb|n\.b\.)\s?[:\-–.,]", re.IGNORECASE)


def without_signature(lines: list[str]) -> list[str]:
    """`lines` without the signature, closing, footer or disclaimer at their end."""
    for cut in (_cut_delimiter, _cut_disclaimer, _cut_mobile, _cut_closing, _cut_contact_block):
        lines = _without_rulers(cut(lines))
    return lines


def is_ruler(line: str) -> bool:
    """Whether `line` holds nothing but drawing characters or spaces."""
    return bool(_RULER.match(plain(line)))


def is_mobile_footer(line: str) -> bool:
    """Whether `line` is the footer that a telephone or mail program adds by itself."""
    text = plain(line)
    if not _MOBILE.match(text) or text.endswith("?"):
        return False
    return not _FROM_MY.match(text) or bool(_DEVICE.search(text))


def _without_rulers(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and is_ruler(lines[end - 1]):
        end -= 1
    return lines[:end]


def _asks_nothing(tail: list[str], limit: int) -> bool:
    """Whether `tail` has at most `limit` filled lines, none of them a paragraph or a request.

    A disclaimer may ask ("do you really need to print this?"): that is no request of the sender.
    """
    filled = 0
    for line in tail:
        if not line.strip():
            continue
        filled += 1
        text = plain(line)
        if filled > limit or (is_request(text) and not _DISCLAIMER.match(text)):
            return False
        if len(line) > MAX_MATCHED_CHARS and not _DISCLAIMER.match(text):
            return False
    return True


def _above(lines: list[str], index: int) -> bool:
    return any(not is_ruler(line) for line in lines[:index])


def _cut_delimiter(lines: list[str]) -> list[str]:
    for index, line in enumerate(lines):
        text = plain(line)
        if not _DELIMITER.match(text):
            continue
        limit = MAX_DISCLAIMER_LINES if text == "--" else MAX_SIGNATURE_LINES
        if _asks_nothing(lines[index + 1 :], limit) and not _inside_code(lines, index):
            return lines[:index]
    return lines


def _inside_code(lines: list[str], index: int) -> bool:
    return sum(line.lstrip().startswith("```") for line in lines[:index]) % 2 == 1


def _cut_disclaimer(lines: list[str]) -> list[str]:
    for index, line in enumerate(lines):
        # Matched over three lines: disclaimers are long sentences, wrapped anywhere.
        window = plain(" ".join(lines[index : index + 3]))
        starts = index == 0 or not lines[index - 1].strip() or bool(_DISCLAIMER.match(plain(line)))
        if not (starts and line.strip() and _DISCLAIMER.match(window)):
            continue
        tail = lines[index:]
        if _above(lines, index) and _asks_nothing(tail, MAX_DISCLAIMER_LINES):
            return lines[:index]
    return lines


def _cut_mobile(lines: list[str]) -> list[str]:
    for index, line in enumerate(lines):
        if not is_mobile_footer(line):
            continue
        rest = [other for other in lines[index + 1 :] if not is_mobile_footer(other)]
        if _asks_nothing(rest, MAX_SIGNATURE_LINES // 2):
            return lines[:index]
    return lines


def _cut_closing(lines: list[str]) -> list[str]:
    for index, line in enumerate(lines):
        text = plain(line)
        french = bool(_CLOSING.match(text))
        tail = lines[index + 1 :]
        if _LEADING_TO_NAME.match(text) and _is_name_block(tail):
            return lines[:index]
        if not french and not _ENGLISH_CLOSING.match(text):
            continue
        if not french and not any(_CONTACT.search(plain(other)) for other in tail):
            # A bare "Best regards" and a name cost nothing and are often part of the reply.
            continue
        postscript = next(
            (i for i, other in enumerate(tail) if _POSTSCRIPT.match(plain(other))), None
        )
        kept = [] if postscript is None else ["", *tail[postscript:]]
        if _above(lines, index) and _asks_nothing(tail[:postscript], MAX_SIGNATURE_LINES):
            return lines[:index] + kept
    return lines


def _is_name_block(tail: list[str]) -> bool:
    """Whether `tail` is a few short lines that are no sentences, such as a name and a function."""
    filled = [plain(line) for line in tail[: 4 * MAX_SIGNATURE_LINES] if line.strip()]
    short = all(len(line) <= 80 and not line.endswith((".", ":", ";", "!")) for line in filled)
    added = any(_POSTSCRIPT.match(line) for line in filled)
    return len(filled) <= 6 and short and not added and _asks_nothing(tail, 6)


def _cut_contact_block(lines: list[str]) -> list[str]:
    """Cut a last paragraph that is only a name, a function, a telephone, an address."""
    start = len(lines)
    while start and lines[start - 1].strip():
        start -= 1
    block = [plain(line) for line in lines[start:]]
    before = next((plain(line) for line in reversed(lines[:start]) if line.strip()), "")
    looks_like_one = (
        2 <= len(block) <= 8
        and all(len(line) <= 80 and not line.endswith((".", ":", ";")) for line in block)
        and any(_CONTACT.search(line) for line in block)
        and not any(is_quoted(line) or line.startswith(("-", "*", "•")) for line in block)
    )
    if looks_like_one and before and not before.endswith(":") and _asks_nothing(block, 8):
        return lines[:start]
    return lines
