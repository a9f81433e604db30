"""HTML: the main content of a page, its headings, lists and tables. Also the way of DOCX."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.ingest.formats import tables
from services.ingest.formats.model import Builder, Limits, Unreadable
from services.ingest.formats.plain import decode

_DROPPED = (
    "script, style, noscript, template, nav, aside, svg, math, iframe, object, button, select, "
    "input, textarea, audio, video, canvas, dialog, [hidden], [aria-hidden=true], "
    "[role=navigation], [role=search], [role=banner], [role=contentinfo], "
    "[class~=breadcrumb], [class~=fr-breadcrumb], body > header, body > footer"
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_NAMES = """
address article blockquote body caption center dd details div dl dt fieldset figcaption figure
footer form header hr legend li main ol p pre section summary table ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split()) | set(_HEADINGS)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{2,40})""", re.IGNORECASE)
# Elements that must be closed: only these can nest without end.
_TAG = re.compile(
    r"<(/?)(?:a|abbr|article|b|blockquote|center|dd|del|details|div|dl|em|fieldset|font|form|i|ins"
    r"|main|ol|section|small|span|strong|sub|sup|table|u|ul)\b",
    re.IGNORECASE,
)
_SITE_NAME = re.compile(r"\s+[|–—·»]\s+|\s+-\s+(?=\S+$)")


@dataclass(slots=True)
class Page:
    """What a page's head says of it."""

    title: str | None
    url: str | None


def parse(
    data: bytes, name: str, limits: Limits, charset: str | None = None
) -> tuple[Builder, Page]:
    """The blocks of an HTML file, its title and canonical address."""
    declared = _CHARSET.search(data[:4096])
    text = decode(data, charset or (declared.group(1).decode("ascii") if declared else None))
    return parse_text(text, limits)


def parse_text(text: str, limits: Limits) -> tuple[Builder, Page]:
    """Same as `parse`, for text that is decoded already."""
    builder = Builder(limits)
    tree = _tree(text, limits)
    page = Page(_title(tree), _canonical(tree))
    root = _main(tree)
    if root is not None:
        _Walk(builder).run(root)
    return builder, page


def add_fragment(builder: Builder, text: str) -> None:
    """Add a piece of HTML found inside another format."""
    body = _tree(text, builder.limits).body
    if body is not None:
        _Walk(builder).run(body)


def _tree(text: str, limits: Limits) -> LexborHTMLParser:
    # The parser's time is quadratic in the depth of nesting: measure it before.
    depth = deepest = 0
    for tag in _TAG.finditer(text):
        depth = max(0, depth + (-1 if tag.group(1) else 1))
        deepest = max(deepest, depth)
    if deepest > limits.max_nesting:
        raise Unreadable(
            f"La page HTML imbrique plus de {limits.max_nesting} éléments : fichier refusé.", "bomb"
        )
    tree = LexborHTMLParser(text)
    for node in tree.css(_DROPPED):
        node.decompose()
    for node in tree.css("[style]"):
        if _HIDDEN_STYLE.search(node.attributes.get("style") or ""):
            node.decompose()
    return tree


def _main(tree: LexborHTMLParser) -> LexborNode | None:
    body = tree.body
    if body is None:
        return None
    whole = len(body.text())
    for selector in ("main", "[role=main]", "article"):
        nodes = tree.css(selector)
        # Several articles are a list of them, and a nearly empty main holds no content.
        if len(nodes) == 1 and len(nodes[0].text()) > max(200, whole // 4):
            return nodes[0]
    return body


def _title(tree: LexborHTMLParser) -> str | None:
    for selector in ("main h1", "h1"):
        headings = tree.css(selector)
        if len(headings) == 1 and (text := headings[0].text(separator=" ").strip()):
            return _SPACE.sub(" ", text)
    for node in tree.css("title"):
        if node.text().strip():
            return _SITE_NAME.split(node.text().strip())[0]
    return None


def _canonical(tree: LexborHTMLParser) -> str | None:
    for node in tree.css("link[rel=canonical]"):
        address = (node.attributes.get("href") or "").strip()
        if re.match(r"https?://\S+$", address):
            return address
    return None


def _events(root: LexborNode) -> Iterator[tuple[bool, LexborNode]]:
    """(entering, node) in document order, without recursion and not into tables."""
    node: LexborNode | None = root
    while node is not None:
        yield True, node
        if node.child is not None and node.tag != "table":
            node = node.child
            continue
        yield False, node
        while node.next is None or node.mem_id == root.mem_id:
            if node.mem_id == root.mem_id or node.parent is None:
                return
            node = node.parent
            yield False, node
            if node.mem_id == root.mem_id:
                return
        node = node.next


@dataclass(slots=True)
class _Walk:
    """Adds blocks to the builder while going through the elements."""

    builder: Builder
    buffer: list[str] = field(default_factory=list)
    heading: int = 0
    preformatted: bool = False
    lists: list[int | None] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def run(self, root: LexborNode) -> None:
        for entering, node in _events(root):
            tag = node.tag or ""
            if tag == "-text":
                if entering:
                    self._text(node.text_content or "")
            elif tag == "br":
                self.buffer.append("\n" if entering else "")
            elif tag in _BLOCKS:
                self._block(tag, node, entering)
        self._flush()

    def _text(self, text: str) -> None:
        self.buffer.append(text if self.preformatted else _SPACE.sub(" ", text))

    def _block(self, tag: str, node: LexborNode, entering: bool) -> None:
        self._flush()
        if tag in _HEADINGS:
            self.heading = _HEADINGS[tag] if entering else 0
        elif tag == "pre":
            self.preformatted = entering
        elif tag in ("ul", "ol"):
            self._list(tag, entering)
        elif tag == "li" and entering:
            self._item()
        elif tag == "li":
            self.marks.clear()
        elif tag == "table" and entering:
            _add_table(self.builder, node)

    def _list(self, tag: str, entering: bool) -> None:
        if entering:
            self.lists.append(1 if tag == "ol" else None)
        elif self.lists:
            self.lists.pop()

    def _item(self) -> None:
        number = self.lists[-1] if self.lists else None
        self.marks = ["- " if number is None else f"{number}. "]
        if number is not None:
            self.lists[-1] = number + 1

    def _flush(self) -> None:
        text = "".join(self.buffer).strip()
        self.buffer.clear()
        if not text:
            return
        if self.heading:
            self.builder.add("heading", text.replace("\n", " "), self.heading)
        elif self.lists:
            mark = self.marks.pop() if self.marks else ""
            self.builder.add("list", mark + text, len(self.lists))
        else:
            self.builder.add("paragraph", text)


def _add_table(builder: Builder, table: LexborNode) -> None:
    rows: list[list[str]] = []
    spans: dict[int, tuple[int, str]] = {}
    header: list[str] | None = None
    for line in table.css("tr"):
        cells = [node for node in _children(line) if node.tag in ("td", "th")]
        row = _row(cells, spans)
        heads = bool(cells) and all(node.tag == "th" for node in cells)
        in_head = line.parent is not None and line.parent.tag == "thead"
        if (heads or in_head) and len(cells) > 1 and not rows:
            header = row if header is None else _merged(header, row)
        else:
            rows.append(row)
    captions = [node.text(separator=" ") for node in _children(table) if node.tag == "caption"]
    tables.add_table(builder, rows, header, " ".join(captions))


def _merged(upper: list[str], lower: list[str]) -> list[str]:
    """Two header rows as one: the lower names what the upper groups."""
    width = max(len(upper), len(lower))
    pairs = zip(
        upper + [""] * (width - len(upper)), lower + [""] * (width - len(lower)), strict=True
    )
    return [" – ".join(dict.fromkeys(part for part in pair if part)) for pair in pairs]


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _row(cells: list[LexborNode], spans: dict[int, tuple[int, str]]) -> list[str]:
    """The row's cells by column; `spans` carries cells that reach into the rows below."""
    row: list[str] = []
    for node in cells:
        _carry(row, spans)
        text = tables.cell_text(_inline(node))
        column = len(row)
        down = _span(node, "rowspan")
        for offset in range(_span(node, "colspan")):
            row.append(text)
            if down > 1:
                spans[column + offset] = (down - 1, text)
    _carry(row, spans)
    return row


def _carry(row: list[str], spans: dict[int, tuple[int, str]]) -> None:
    while len(row) in spans:
        left, text = spans.pop(len(row))
        if left > 1:
            spans[len(row)] = (left - 1, text)
        row.append(text)


def _span(node: LexborNode, name: str) -> int:
    value = (node.attributes.get(name) or "1").strip()
    return min(int(value), 50) if value.isdecimal() and int(value) > 0 else 1


def _inline(node: LexborNode) -> str:
    """A cell's text: its blocks and line breaks become spaces, its inline elements do not."""
    parts: list[str] = []
    for inner in node.traverse(include_text=True):
        if inner.tag == "-text":
            parts.append(inner.text_content or "")
        elif inner.tag == "br" or inner.tag in _BLOCKS or inner.tag in ("td", "tr"):
            parts.append(" ")
    return _SPACE.sub(" ", "".join(parts))
