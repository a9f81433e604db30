"""An e-mail's text in labelled segments: what is new in it, and what each other part is.

Which lines are new is decided pass by pass, since a forward may hold a forward: each pass hides
what somebody else wrote, or what only ends the message, until nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from shared.newtext.footers import is_disclaimer, is_mobile_footer
from shared.newtext.mail_lines import (
    is_quoted,
    next_is_quoted,
    one_level_less,
    plain,
    unquoted,
)
from shared.newtext.quoting import Boundary, first_boundary
from shared.newtext.signatures import (
    MAX_BARE_CLOSING_LINES,
    is_closing,
    is_ruler,
    kept_lines,
)

Label = Literal["greeting", "body", "thanks", "closing", "signature", "footer", "quote", "forward"]

# A chain of forwards of forwards is peeled one message a pass.
MAX_PASSES = 20
# What somebody typed is at the top; a longer text is a log or a whole archive pasted below it.
MAX_LINES = 5000
MAX_BLANK_LINES = 3
_WRAPPED_FROM = 60
_LINE = re.compile(r"[^\r\n\u2028\u2029\x0b\x0c\x85]*(?:\r\n?|[\n\u2028\u2029\x0b\x0c\x85]|\Z)")
_ENDS = "\r\n\u2028\u2029\x0b\x0c\x85"
# A note that passes an e-mail on. Alone it makes a forward even of what looks like a reply,
# because Outlook writes the same header block above both.
_PASSED_ON = re.compile(
    r"^(?:(?:pour |p\.? ?)?(?:info(?:rmation)?|attribution|traitement|suite à donner|compétence"
    r"|action)\b.{0,30}"
    r"|à traiter.{0,30}|fyi.{0,20}|pvi.{0,10}|tr\s?:?|fwd?\s?:?|wg\s?:?|i\s?:"
    r"|(?:please )?see below.{0,10}"
    r"|for your (?:information|attention|action).{0,20}|please (?:handle|reply|answer).{0,40}"
    r"|(?:z\.? ?k\.?|zur (?:info\w*|kenntnis\w*|bearbeitung)|bitte bearbeiten)\b.{0,30}"
    r"|(?:para su (?:información|conocimiento)|te reenvío|per conoscenza|ti inoltro|inoltro)\b"
    r".{0,40}"
    r"|(?:cf\.?|voir)?\s?.{0,30}ci-dessous.{0,20}"
    r"|(?:merci de|peux-tu|pouvez-vous|veuillez|je (?:te|vous) laisse)\s.{0,20}"
    r"(?:traiter|répondre|prendre en charge|suivre).{0,60}"
    r"|.{0,30}\b(?:(?:je|nous) (?:te|vous) (?:transf[eè]r\w+|transmet\w*|fais suivre|faisons "
    r"suivre))\b.{0,80}"
    r"|bonne réception.{0,20})[\s.,;:!?]*$",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"^(?:(?:bonjour|bonsoir|hello|hi|dear|madame|monsieur|cher|chère|mesdames|messieurs|hallo"
    r"|guten tag|hola|buenos días|buongiorno|ciao|liebe\w*)\b.{0,40}|(?:cf\.?|voir).{0,40}"
    r"|merci(?: d'avance| par avance| beaucoup)?|thanks?|thank you|danke|gracias|grazie"
    r"|(?:bien )?cordialement.{0,40})[\s.,;:!?]*$",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^(?:(?:re-?)?bonjour|bonsoir|coucou|salut|hello|hi|hey|good (?:morning|afternoon|evening)"
    r"|dear|madame|monsieur|mesdames|messieurs|ch(?:er|ère)s?|hallo|guten (?:tag|morgen|abend)"
    r"|sehr geehrte\w*|liebe[rs]?|hola|buen[oa]s (?:días|tardes|noches)|estimad[oa]s?"
    r"|buongiorno|buonasera|gentil[ei]|egregi[oa]|salve|ciao|olá|prezad[oa]s?|beste|geachte"
    r"|hej|hei)\b[^.?!;:]{0,60}[,!.:\s]*$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^(?:(?:un grand |encore )?merci|thanks|thank you|many thanks|(?:vielen |herzlichen )?danke?"
    r"|(?:muchas )?gracias|(?:molte )?grazie|obrigad[oa]"
    r"|(?:en )?(?:je |nous )?vous (?:en )?remerci\w+)\b[^?]{0,80}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive lines of one kind as they stand in the e-mail, line ends and `>` marks kept.

    `visible`: part of the new text, which an answer is about.
    """

    label: Label
    text: str
    visible: bool


@dataclass(slots=True, eq=False)
class _Line:
    """`raw` as it came; `text` as it is read, perhaps without a `>` mark and the spaces below."""

    raw: str
    text: str
    label: Label | None = None
    visible: bool = True

    @property
    def filled(self) -> bool:
        return bool(self.text.strip())


def segments(text: str) -> tuple[Segment, ...]:
    """The segments of a mail's plain `text`, in order; put together they are `text` again."""
    lines = _read(text)
    labelled: list[tuple[tuple[Label, bool], str]] = []
    for line in lines:
        kind: tuple[Label, bool] = (line.label or "body", line.visible)
        if not line.filled and labelled:
            kind = labelled[-1][0]
        labelled.append((kind, line.raw))
    return tuple(
        Segment(label, "".join(raw for _, raw in group), visible)
        for (label, visible), group in groupby(labelled, key=lambda pair: pair[0])
    )


def visible_lines(text: str) -> list[str]:
    """The lines of the new text, each without the spaces at its end."""
    return [line.text for line in _read(text) if line.visible]


def _read(text: str) -> list[_Line]:
    raws = [raw for raw in _LINE.findall(text) if raw]
    lines = [_Line(raw, raw.rstrip(_ENDS)) for raw in raws]
    _hide(lines[MAX_LINES:], "body")
    left = lines[:MAX_LINES]
    for _ in range(MAX_PASSES):
        boundary = first_boundary([line.text for line in left])
        if boundary is None:
            break
        left = _without_blanks(_on_one_side(left, boundary))
    # Nothing that is cut at the end makes a boundary above: it need not be looked for again.
    for _ in range(MAX_PASSES):
        before = [line.text for line in left]
        left = _without_blanks(_without_signature(_without_trailing_quote(left)))
        if [line.text for line in left] == before:
            break
    _label_what_is_new(left)
    return lines


def _hide(lines: Iterable[_Line], label: Label | None = None) -> None:
    for line in lines:
        line.visible = False
        line.label = label


def _on_one_side(lines: list[_Line], boundary: Boundary) -> list[_Line]:
    """The lines of one author: above the boundary, or below it when they are passed on."""
    above, announced = lines[: boundary.start], lines[boundary.start : boundary.end]
    below = lines[boundary.end :]
    if boundary.kind == "attribution" and next_is_quoted([line.text for line in below]):
        _hide(announced, "quote")
        return _without_signature(_above(above) + _between_quotes(below))
    if _says_something(above, boundary):
        _hide(announced + below, "forward" if boundary.forwarded else "quote")
        return _without_signature(_above(above))
    _hide(above, "forward")
    _hide(announced, "forward")
    return _without_signature(_unwrapped(below))


def _above(lines: list[_Line]) -> list[_Line]:
    """The lines above a quote, without the rulers and the stray quote marks that announce it."""
    end = len(lines)
    while end and is_ruler(unquoted(lines[end - 1].text)):
        end -= 1
    _hide(lines[end:], "quote")
    return lines[:end]


def _says_something(above: list[_Line], boundary: Boundary) -> bool:
    """Whether the text above an embedded mail is more than a note that it is passed on."""
    texts = [line.text for line in above]
    own = [texts[position] for position in kept_lines(texts)]
    own = [plain(line) for line in own if not is_ruler(unquoted(line))]
    own = [line for line in own if not is_mobile_footer(line)]
    passed_on = [bool(_PASSED_ON.match(line)) for line in own]
    if not boundary.forwarded and not any(passed_on):
        return bool(own)
    return not all(note or _COURTESY.match(line) for note, line in zip(passed_on, own, strict=True))


def _between_quotes(lines: list[_Line]) -> list[_Line]:
    """What is written below and between `>` quotes, without lines that a program wrapped."""
    kept: list[_Line] = []
    wrapped = False
    for line in lines:
        if is_quoted(line.text):
            wrapped = len(line.text) >= _WRAPPED_FROM
            _hide([line], "quote")
        elif wrapped and line.filled and len(line.text) < _WRAPPED_FROM:
            # The end of a quoted line that was folded without its mark.
            wrapped = False
            _hide([line], "quote")
        else:
            wrapped = False
            kept.append(line)
    return kept


def _unwrapped(lines: list[_Line]) -> list[_Line]:
    filled = [line for line in lines if line.filled]
    if filled and all(is_quoted(line.text) for line in filled):
        for line in filled:
            line.text = one_level_less(line.text)
    return lines


def _without_trailing_quote(lines: list[_Line]) -> list[_Line]:
    end = len(lines)
    while end and (is_quoted(lines[end - 1].text) or not lines[end - 1].filled):
        end -= 1
    if not any(line.filled and not is_quoted(line.text) for line in lines[:end]):
        return lines
    _hide(lines[end:], "quote")
    return lines[:end]


def _without_signature(lines: list[_Line]) -> list[_Line]:
    positions = set(kept_lines([line.text for line in lines]))
    removed = [line for position, line in enumerate(lines) if position not in positions]
    _hide(removed)
    footer = False
    for line in removed:
        text = plain(line.text)
        footer = footer or is_disclaimer(text)
        line.label = "footer" if footer or is_mobile_footer(text) else _ending(text)
    return [lines[position] for position in sorted(positions)]


def _ending(text: str) -> Label:
    if _THANKS.match(text):
        return "thanks"
    return "closing" if is_closing(text) else "signature"


def _without_blanks(lines: list[_Line]) -> list[_Line]:
    """Without empty lines at the ends, nor more than three of them between others."""
    kept: list[_Line] = []
    blanks = MAX_BLANK_LINES
    for line in lines:
        line.text = line.text.rstrip()
        blanks = 0 if line.text else blanks + 1
        if blanks <= MAX_BLANK_LINES:
            kept.append(line)
        else:
            _hide([line])
    while kept and not kept[-1].text:
        _hide([kept.pop()])
    return kept


def _label_what_is_new(lines: list[_Line]) -> None:
    """Name the greeting, the thanks and the closing that stay in the new text."""
    filled = [line for line in lines if line.filled]
    for line in filled[:1]:
        if _GREETING.match(plain(line.text)):
            line.label = "greeting"
    for place, line in enumerate(filled[1:], start=1):
        if _THANKS.match(plain(line.text)):
            line.label = "thanks"
        last = place >= len(filled) - 1 - MAX_BARE_CLOSING_LINES
        if last and is_closing(line.text):
            line.label = line.label or "closing"
            for name in filled[place + 1 :]:
                name.label = "signature"
            break
