"""Bytes of unknown honesty to text: the declared charset, then UTF-8, then windows-1252."""

from __future__ import annotations

import re

# PostgreSQL refuses U+0000 and lone surrogates; the other controls have no place in a text, and
# those of ISO 6429 (C1) move the cursor of the terminal that shows it.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UTF_7 = frozenset({"utf-7", "utf7", "u7", "unicode-1-1-utf-7", "utf-7-imap"})
_ALIASES = {"ansi_x3.110-1983": "latin-1", "cp-850": "cp850"}
# Python also knows codecs that are no charsets (base64, zip…): those would give bytes or worse.
_NOT_TEXT = re.compile(
    r"^(?:base64|bz2|hex|quopri|quoted|rot|uu|zip|zlib|idna|punycode|unicode_?esc|raw)"
)


def decode(data: bytes, charset: str | None) -> tuple[str, str | None]:
    """Text of `data` and, when the declared `charset` did not hold, a word on what was done."""
    declared = (charset or "").strip().strip("\"'").lower()
    declared = _ALIASES.get(declared, declared)
    if declared in _UTF_7:
        # Shown as it came: decoded, it would bring markup past whoever looks at the bytes.
        return decode(data, None)[0], "charset:utf-7->refused"
    if declared and not _NOT_TEXT.match(declared):
        text = _try(data, "cp1252" if declared in {"iso-8859-1", "latin-1", "latin1"} else declared)
        if text is not None:
            return text, None
    text = _try(data, "utf-8")
    if text is not None:
        # ASCII under an unknown name, or UTF-8 nobody declared, is no defect worth telling.
        return text, f"charset:{declared}->utf-8" if declared and not data.isascii() else None
    text = _try(data, "cp1252")
    if text is not None:
        return text, f"charset:{declared or 'none'}->windows-1252"
    return data.decode("cp1252", "replace"), f"charset:{declared or 'none'}->replacement"


def _try(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset)
    except (UnicodeError, LookupError, ValueError, AssertionError):
        return None


def printable(text: str) -> str:
    """`text` with LF line ends and without control characters or lone surrogates."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n"))
