"""Reads the Markdown of the sources into the blocks that the PDF, DOCX and ODT writers share."""

from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

Kind = Literal["heading", "note", "paragraph", "bullet", "number", "table"]


@dataclass(frozen=True)
class Block:
    """`level` is the heading level from 1; `rows` holds a table's cells, its header row first."""

    kind: Kind
    text: str = ""
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


def _text(node: SyntaxTreeNode) -> str:
    # The writers have one character style: emphasis is dropped, line breaks become spaces.
    leaves = (n for n in node.walk() if n.type in ("text", "code_inline", "softbreak"))
    return "".join(" " if n.type == "softbreak" else n.content for n in leaves)


def _table(node: SyntaxTreeNode) -> Block:
    rows = (row for row in node.walk() if row.type == "tr")
    return Block("table", rows=tuple(tuple(_text(cell) for cell in row.children) for row in rows))


def _read(node: SyntaxTreeNode) -> list[Block]:
    match node.type:
        case "heading":
            return [Block("heading", _text(node), level=int(node.tag[1:]))]
        case "paragraph":
            return [Block("paragraph", _text(node))]
        case "blockquote":
            return [Block("note", _text(node))]
        case "bullet_list":
            return [Block("bullet", _text(item)) for item in node.children]
        case "ordered_list":
            return [Block("number", _text(item)) for item in node.children]
        case "table":
            return [_table(node)]
    raise ValueError(f"no block for Markdown '{node.type}' (line {node.map})")


def read_blocks(markdown: str) -> list[Block]:
    """The blocks in reading order; ValueError for a construct that the writers do not know."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(markdown))
    return [block for node in tree.children for block in _read(node)]
