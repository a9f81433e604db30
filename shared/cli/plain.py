"""Text from outside as a terminal may show it: no markup, no control characters."""

from __future__ import annotations

import json
import re

from rich.text import Text

# C0, DEL and C1: a terminal obeys them (ESC or U+009B begins a command). Lone surrogates, by which
# Python writes a file name's undecodable bytes, cannot be printed at all.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_JSON = re.compile(r"[\x7f-\x9f\ud800-\udfff]")
_WHITE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def line(text: object, style: str = "") -> Text:
    """``text`` on one line, as it stands: brackets are no markup."""
    return Text(_shown(_WHITE.sub(" ", str(text))), style=style)


def lines(text: object, style: str = "") -> Text:
    """``text`` with its line breaks."""
    kept = str(text).replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return Text("\n".join(map(_shown, kept)), style=style)


def as_json(value: object, indent: int | None = None) -> str:
    """JSON that keeps every character, those that a terminal would obey as escapes."""
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    return _CONTROL_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", written)


def _shown(text: str) -> str:
    return _CONTROL.sub(lambda found: "\ufffd" if found.group() >= "\ud800" else "", text)
