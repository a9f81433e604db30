"""Markdown and MDX: front matter, headings, lists, tables; imports and components left out."""

import re
from dataclasses import dataclass, field

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types
from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.ingest.formats import html, tables
from services.ingest.formats.model import Builder, Limits
from services.ingest.formats.plain import decode, unwrap

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_SCALAR = re.compile(r"^([\w-]+)[ \t]*:[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_MODULE = re.compile(
    r"^(?:import\s(?:.|\n)*?(?:from\s+)?[\"'][^\"'\n]*[\"'];?|export\s+(?:const|default|let|function)\b"
    r"(?:[^\n]+\n?)*)[ \t]*$",
    re.MULTILINE,
)
_COMMENT = re.compile(r"\{/\*.*?\*/\}", re.DOTALL)
_ATTRIBUTE = re.compile(r"(\s[\w:-]+)=\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}")
_EXPRESSION = re.compile(r"\{[A-Za-z_$][\w$.]*(?:\([^(){}\n]*\))?\}")
_COMPONENT = re.compile(r"</?[A-Z][\w.]*(?:\s[^<>]*)?/?>")
_FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)[ \t]*$", re.DOTALL | re.MULTILINE)
_MAX_HEADING = 250
_ADDRESS = re.compile(r"https?://\S+$")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What the front matter says of the document."""

    title: str | None = None
    url: str | None = None


def parse(
    data: bytes, name: str, limits: Limits, *, mdx: bool = False
) -> tuple[Builder, FrontMatter]:
    """The blocks of a Markdown file and its front matter."""
    text = decode(data).replace("\r\n", "\n")
    front, text = split_front_matter(text)
    builder = Builder(limits)
    tokens = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .parse(_without_code(text) if mdx else text)
    )
    _Render(builder).run(tokens)
    return builder, front


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """The front matter's title and address, and the text after it."""
    found = _FRONT.match(text)
    if found is None:
        return FrontMatter(), text
    values = _values(found.group(1))
    url = next((values[key] for key in ("url", "canonical", "source_url") if key in values), None)
    title = next((values[key] for key in ("title", "titre") if values.get(key)), None)
    return (
        FrontMatter(title=title, url=url if url and _ADDRESS.match(url) else None),
        text[found.end() :],
    )


def _values(source: str) -> dict[str, str]:
    try:
        loaded = yaml.load(source, Loader=yaml.BaseLoader)  # noqa: S506 -- BaseLoader builds only strings
    except yaml.YAMLError:
        # « title: Aide de l'Anah : travaux » is no valid YAML and is common all the same.
        return {key.lower(): value.strip("\"'") for key, value in _SCALAR.findall(source)}
    if not isinstance(loaded, dict):
        return {}
    return {
        str(key).lower(): value.strip() for key, value in loaded.items() if isinstance(value, str)
    }


def _without_code(text: str) -> str:
    """MDX as Markdown: no modules, comments, expressions or component tags outside code."""
    parts: list[str] = []
    position = 0
    for fence in _FENCE.finditer(text):
        parts += [_without_jsx(text[position : fence.start()]), fence.group()]
        position = fence.end()
    parts.append(_without_jsx(text[position:]))
    return "".join(parts)


def _without_jsx(text: str) -> str:
    text = _COMMENT.sub("", _MODULE.sub("", text))
    text = _COMPONENT.sub("", _ATTRIBUTE.sub(r"\1", text))
    return _EXPRESSION.sub("", text)


@dataclass(slots=True)
class _Render:
    """Adds blocks to the builder from the flat list of tokens."""

    builder: Builder
    lists: list[int | None] = field(default_factory=list)
    mark: str = ""
    rows: list[list[str]] = field(default_factory=list)

    def run(self, tokens: list[Token]) -> None:
        opened = tokens[0] if tokens else None
        for token in tokens:
            if token.type == "inline" and opened is not None:
                self._inline(opened, _text(token))
            elif token.type in ("fence", "code_block"):
                self.builder.add("paragraph", token.content)
            elif token.type == "html_block":
                html.add_fragment(self.builder, token.content)
            elif token.type == "tr_open":
                self.rows.append([])
            elif token.type == "table_close":
                tables.add_table(self.builder, self.rows[1:], self.rows[0])
                self.rows = []
            else:
                self._list(token)
            opened = token

    def _list(self, token: Token) -> None:
        if token.type == "ordered_list_open":
            self.lists.append(int(token.attrs.get("start", 1)))
        elif token.type == "bullet_list_open":
            self.lists.append(None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            self.lists.pop()
        elif token.type == "list_item_open":
            number = self.lists[-1]
            self.mark = "- " if number is None else f"{number}. "
            if number is not None:
                self.lists[-1] = number + 1

    def _inline(self, opened: Token, text: str) -> None:
        # A line of dashes under a whole paragraph is a rule that lacks its blank line.
        prose = opened.type == "heading_open" and ("\n" in text or len(text) > _MAX_HEADING)
        if opened.type == "heading_open" and not prose:
            self.builder.add("heading", text, int(opened.tag[1]))
        elif opened.type in ("th_open", "td_open"):
            self.rows[-1].append(tables.cell_text(text))
        elif self.lists:
            self.builder.add("list", self.mark + unwrap(text), len(self.lists))
            self.mark = ""
        else:
            self.builder.add("paragraph", unwrap(text))


def _text(token: Token) -> str:
    """The text of an inline token: no marks, addresses or images."""
    parts: list[str] = []
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak") or child.content[:3].lower() == "<br":
            parts.append("\n")
    return "".join(parts)
