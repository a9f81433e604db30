"""The text of an HTML mail: what a reader sees, with links, lists and quotes kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_NESTING = 10_000
MAX_QUOTES = 20
"""Marks before a line: nested without end, they would outgrow the mail a thousand times."""
MAX_SIGNATURES = 10
"""Looked into, one for each quoted mail; each costs the length of its text."""
_SKIPPED = frozenset(
    {
        "head",
        "script",
        "style",
        "title",
        "template",
        "noscript",
        "svg",
        "object",
        "iframe",
        "select",
    }
)
_BLOCKS = frozenset(
    {"p", "div", "tr", "table", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
    | {"section", "article", "header", "footer", "address", "center", "dl", "dt", "dd", "pre", "hr"}
    | {"form", "fieldset", "figure", "main", "nav", "aside", "tbody", "thead"}
)
_SPACED = frozenset({"p", "ul", "ol", "table", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)|max-height\s*:\s*0(?:px)?\s*(?:;"
    r"|!|$)",
    re.IGNORECASE,
)
# How mail programs mark the signature that they insert; none of them shows the mark.
_SIGNATURE = re.compile(
    r"(?:^|[\s_-])(?:gmail_signature|moz-signature|ms-outlook-mobile-signature|protonmail_signature"
    r"_block|signature)(?:$|\s)",
    re.IGNORECASE,
)
# Void elements and those that the next of their kind closes do not nest.
_NESTING_TAG = re.compile(
    r"<(/?)(?!(?:br|hr|img|input|meta|link|col|p|li|tr|td|th|dd|dt|option)\b)[a-z]", re.IGNORECASE
)
_RUNS = re.compile(r"[ \t\r\n\f]+")


@dataclass
class _Writer:
    """Lines under construction, each with the quote marks it stands behind."""

    lines: list[str] = field(default_factory=list)
    current: str = ""
    quotes: int = 0
    signatures: int = 0

    def text(self, text: str) -> None:
        piece = _RUNS.sub(" ", text)
        if not self.current or self.current.endswith(" "):
            piece = piece.lstrip(" ")
        self.current += piece

    def line_end(self) -> None:
        self.lines.append("> " * min(self.quotes, MAX_QUOTES) + self.current.rstrip(" "))
        self.current = ""

    def block(self, spaced: bool) -> None:
        if self.current.strip():
            self.line_end()
        if spaced and self.lines and self.lines[-1].strip("> "):
            self.line_end()
        self.current = ""

    def delimiter(self) -> None:
        """The line that stands before a signature in plain text, once."""
        last = next((line.strip("> ") for line in reversed(self.lines) if line.strip("> ")), "")
        if last and last != "--":
            self.current = "-- "
            self.line_end()

    def result(self) -> str:
        self.block(spaced=False)
        return "\n".join(self.lines).strip("\n")


def html_to_text(html: str) -> str:
    """The visible text of `html`; `> ` before quoted blocks, `- ` before items, `text (url)`."""
    body = LexborHTMLParser(html[: _too_deep(html)]).body
    writer = _Writer()
    if body is not None:
        _walk(body, writer)
    return writer.result()


def _too_deep(html: str) -> int:
    """Where elements are nested deeper than any program writes: the parser is quadratic in it."""
    if html.count("<") <= MAX_NESTING:
        return len(html)
    depth = 0
    for tag in _NESTING_TAG.finditer(html):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth > MAX_NESTING:
            return tag.start()
    return len(html)


def _walk(root: LexborNode, writer: _Writer) -> None:
    # An explicit stack: a mail may nest its elements as deep as it likes.
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            _leave(node, writer)
            continue
        if not _enter(node, writer):
            continue
        stack.append((node, True))
        child = node.last_child
        while child is not None:
            stack.append((child, False))
            child = child.prev


def _enter(node: LexborNode, writer: _Writer) -> bool:
    """Write what comes before the node's children; whether they are to be visited."""
    tag = node.tag or ""
    if tag == "-text":
        writer.text(node.text_content or "")
        return False
    if tag in _SKIPPED or tag.startswith(("-", "!")) or _is_hidden(node):
        return False
    if tag == "br":
        writer.line_end()
        return False
    if tag in _BLOCKS:
        writer.block(tag in _SPACED)
        if writer.signatures < MAX_SIGNATURES and _is_signature(node):
            writer.signatures += 1
            writer.delimiter()
    if tag == "hr":
        writer.text("_" * 32)
        writer.line_end()
    elif tag == "li":
        writer.text("- ")
    elif tag == "blockquote":
        writer.quotes += 1
    elif tag in {"td", "th"} and writer.current and not writer.current.endswith(" "):
        writer.text(" ")
    return True


def _leave(node: LexborNode, writer: _Writer) -> None:
    tag = node.tag or ""
    if tag == "a":
        _link(node, writer)
    if tag in _BLOCKS:
        writer.block(tag in _SPACED and tag != "blockquote")
    if tag == "blockquote":
        writer.quotes = max(0, writer.quotes - 1)


def _link(node: LexborNode, writer: _Writer) -> None:
    target = (node.attributes.get("href") or "").strip()
    label = " ".join((node.text() or "").split())
    shown = target.removeprefix("https://").removeprefix("http://").rstrip("/")
    if target.startswith(("http://", "https://")) and label and shown not in label:
        writer.text(f" ({target})")


def _is_signature(node: LexborNode) -> bool:
    attributes = node.attributes
    names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    return bool(_SIGNATURE.search(names[:200])) and bool((node.text() or "").strip(" \n-\xa0"))


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    return bool(style) and bool(_HIDDEN.search(style or ""))
