"""HTML of strangers made safe to show inside our own pages. Pure."""

from __future__ import annotations

import re
from collections import Counter

import nh3

from shared.envelope import Frozen

MAX_CHARS = 400_000
"""Characters of HTML that are read; a page does not show more."""
MAX_DEPTH = 500
"""Elements inside each other; cleaning takes the square of it, and no program writes such mail."""
_TEXT = "abbr b bdi bdo blockquote br caption cite code col colgroup dd del dfn div dl dt em"
_MORE = "h1 h2 h3 h4 h5 h6 hr i ins kbd li ol p pre q s samp small span strike strong sub sup"
_TABLE = "table tbody td tfoot th thead tr tt u ul var a center"
_TAGS = frozenset(f"{_TEXT} {_MORE} {_TABLE}".split())
# What stands in these is no text for a reader.
_SKIPPED = "script style title head template noscript iframe object svg math select textarea"
_WITH_CONTENT = frozenset(_SKIPPED.split())
_ATTRIBUTES = {
    "a": {"href"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
}
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
# Headings of the e-mail are none of the page.
_HEADING = re.compile(r"<(/?)h[1-6]>")
_IMAGE = re.compile(r"<(?:img|image|picture|video|audio|embed|source)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
# Void elements and those that the next of their kind closes do not nest.
_VOID = "br hr img input meta link col p li tr td th dd dt option"
_FLAT = frozenset(_VOID.split())


class CleanHtml(Frozen):
    """A fragment without scripts, styles, images, forms, names or ids; ``images`` were dropped.

    ``cut``: the end was over ``MAX_CHARS``, or too deeply nested.
    """

    html: str
    images: int = 0
    cut: bool = False


def clean_html(html: str) -> CleanHtml:
    """``html`` as a fragment that loads nothing and runs nothing.

    Links stay, to the web and to addresses only; they open apart and tell nothing of our page.
    """
    read = html[: _readable(html)]
    cleaned = nh3.clean(
        read,
        tags=set(_TAGS),
        clean_content_tags=set(_WITH_CONTENT),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )
    return CleanHtml(
        html=_HEADING.sub(r"<\1p>", cleaned),
        images=len(_IMAGE.findall(read)),
        cut=len(read) < len(html),
    )


def _readable(html: str) -> int:
    """Where reading ends: at ``MAX_CHARS``, or at elements that nest too deeply."""
    depth, still_open = 0, Counter[str]()
    for tag in _TAG.finditer(html, 0, MAX_CHARS):
        name = tag[2].lower()
        if name in _FLAT or (tag[1] and not still_open[name]):
            continue
        step = -1 if tag[1] else 1
        depth, still_open[name] = depth + step, still_open[name] + step
        if depth > MAX_DEPTH:
            return tag.start()
    return min(len(html), MAX_CHARS)
