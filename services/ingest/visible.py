"""The new text of an e-mail: what its sender wrote, without quotes, forwards and signatures."""

from __future__ import annotations

import re

from services.ingest.quoting import (
    Boundary,
    first_boundary,
    is_quoted,
    one_level_less,
    plain,
    unquoted,
)
from services.ingest.signatures import is_mobile_footer, is_ruler, without_signature

# A chain of forwards of forwards is peeled one message a pass.
MAX_PASSES = 50
# What somebody typed is at the top; a longer text is a log or a whole archive pasted below it.
MAX_LINES = 5000
_WRAPPED_FROM = 60
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x0b|\x0c|\x85")
_BLANK_RUNS = re.compile(r"\n(?:[^\S\n]*\n){4,}")
_FORWARD_NOTE = re.compile(
    r"^(?:(?:bonjour|bonsoir|hello|hi|dear|madame|monsieur|cher|chère|mesdames|messieurs)\b.{0,40}"
    r"|(?:pour |p\.? ?)?(?:info(?:rmation)?|attribution|traitement|suite à donner|compétence"
    r"|action)\b.{0,30}"
    r"|à traiter.{0,30}|fyi.{0,20}|pvi.{0,10}|tr\s?:?|fwd?\s?:?|see below.{0,10}"
    r"|(?:cf\.?|voir|ci-dessous).{0,40}"
    r"|(?:merci de|peux-tu|pouvez-vous|veuillez|je (?:te|vous) laisse)\s.{0,20}"
    r"(?:traiter|répondre|prendre en charge|suivre).{0,60}"
    r"|.{0,30}\b(?:(?:je|nous) (?:te|vous) (?:transf[eè]r\w+|transmet\w*|fais suivre|faisons "
    r"suivre))\b.{0,80}"
    r"|merci(?: d'avance| par avance| beaucoup)?|bonne réception.{0,20}"
    r"|(?:bien )?cordialement.{0,40})[\s.,;:!?]*$",
    re.IGNORECASE,
)


def new_text(text: str) -> str:
    """What the sender of a mail wrote in its plain `text`, in the sender's own lines.

    Quoted replies, the headers above them, signatures and footers are left out. A mail that only
    forwards another one gives the forwarded text; one that only quotes a reply gives "". Every
    line given is a line of `text`, at most without its `>` marks and the spaces at its ends.
    """
    lines = _BLANK_RUNS.sub("\n\n\n\n", _LINE_ENDS.sub("\n", text)).split("\n")[:MAX_LINES]
    for _ in range(MAX_PASSES):
        kept = _without_blank_ends(_one_pass(lines))
        if kept == lines:
            break
        lines = kept
    return "\n".join(lines)


def _one_pass(lines: list[str]) -> list[str]:
    boundary = first_boundary(lines)
    if boundary is None:
        return without_signature(_without_trailing_quote(lines))
    above, below = lines[: boundary.start], lines[boundary.end :]
    if boundary.kind == "attribution" and _next_is_quoted(below):
        answers = _text_between_quotes(below)
        return without_signature(_above(above) + answers)
    if _says_something(above, boundary):
        return without_signature(_above(above))
    return without_signature(_unwrapped(below))


def _above(lines: list[str]) -> list[str]:
    """The lines above a quote, without the rulers and the stray quote marks that announce it."""
    end = len(lines)
    while end and (is_ruler(lines[end - 1]) or is_ruler(unquoted(lines[end - 1]))):
        end -= 1
    return lines[:end]


def _says_something(above: list[str], boundary: Boundary) -> bool:
    """Whether the text above an embedded mail is more than a note that it is passed on."""
    own = [line for line in without_signature(_above(above)) if not is_ruler(line)]
    own = [line for line in own if not is_mobile_footer(line)]
    if not boundary.forwarded:
        return bool(own)
    return any(not _FORWARD_NOTE.match(plain(line)) for line in own)


def _next_is_quoted(lines: list[str]) -> bool:
    first = next((line for line in lines if line.strip()), "")
    return is_quoted(first)


def _text_between_quotes(lines: list[str]) -> list[str]:
    """What is written below and between `>` quotes, without lines that a program wrapped."""
    kept: list[str] = []
    wrapped = False
    for line in lines:
        if is_quoted(line):
            wrapped = len(line) >= _WRAPPED_FROM
            continue
        if wrapped and line.strip() and len(line) < _WRAPPED_FROM:
            # The end of a quoted line that was folded without its mark.
            wrapped = False
            continue
        wrapped = False
        kept.append(line)
    return kept


def _unwrapped(lines: list[str]) -> list[str]:
    filled = [line for line in lines if line.strip()]
    if filled and all(is_quoted(line) for line in filled):
        return [one_level_less(line) if is_quoted(line) else line for line in lines]
    return lines


def _without_trailing_quote(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and (is_quoted(lines[end - 1]) or not lines[end - 1].strip()):
        end -= 1
    above = lines[:end]
    return above if any(not is_quoted(line) and line.strip() for line in above) else lines


def _without_blank_ends(lines: list[str]) -> list[str]:
    trimmed = [line.rstrip() for line in lines]
    start, end = 0, len(trimmed)
    while start < end and not trimmed[start]:
        start += 1
    while end > start and not trimmed[end - 1]:
        end -= 1
    return trimmed[start:end]
