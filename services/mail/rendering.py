"""The reply's text and HTML, with its numbered references. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from shared.records import Reference

TITLE = "Sources"
"""The same word in French and in English: the event does not say the reply's language."""
_MARKS = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_LINK = re.compile(r"^https?://[^\s<>\"]+$", re.IGNORECASE)


def plain(text: str, references: Sequence[Reference]) -> str:
    """The text with the list of references below it."""
    body = text.strip()
    if not references:
        return f"{body}\n"
    return f"{body}\n\n{TITLE}\n" + "\n".join(_plain_line(each) for each in references) + "\n"


def html(text: str, references: Sequence[Reference]) -> str:
    """The same as HTML: everything escaped, [n] and the titles linked to public pages."""
    links = {each.number: each.url for each in references if is_link(each.url)}
    blocks = re.split(r"\n\s*\n", text.strip())
    body = "".join(f"<p>{_marked(block, links)}</p>\n" for block in blocks)
    listed = "".join(f"<p>{_html_line(each)}</p>\n" for each in references)
    if listed:
        listed = f"<hr>\n<p><strong>{TITLE}</strong></p>\n{listed}"
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n'
        f"<body>\n{body}{listed}</body></html>\n"
    )


def is_link(url: str | None) -> bool:
    """Whether a reader may be sent there: http and https only."""
    return bool(url and _LINK.match(url))


def _marked(block: str, links: Mapping[int, str | None]) -> str:
    """Escaped text whose [1] and [1, 2] link to their references' pages."""
    found: list[str] = []
    end = 0
    for match in _MARKS.finditer(block):
        found.append(_escaped(block[end : match.start()]))
        numbers = [int(number) for number in match[1].split(",")]
        found.append("[" + ", ".join(_linked(str(n), links.get(n)) for n in numbers) + "]")
        end = match.end()
    return "".join(found) + _escaped(block[end:])


def _escaped(text: str) -> str:
    return escape(text).replace("\n", "<br>\n")


def _linked(text: str, url: str | None) -> str:
    shown = escape(text)
    return f'<a href="{escape(url)}">{shown}</a>' if url and is_link(url) else shown


def _place(reference: Reference) -> str:
    heading = f", « {reference.heading} »" if reference.heading else ""
    page = f", p. {reference.page}" if reference.page else ""
    return f"{heading}{page}"


def _plain_line(reference: Reference) -> str:
    line = f"[{reference.number}] {reference.title}{_place(reference)}"
    return f"{line}\n    {reference.url}" if is_link(reference.url) else line


def _html_line(reference: Reference) -> str:
    title = _linked(reference.title, reference.url)
    return f"[{reference.number}] {title}{escape(_place(reference))}"
