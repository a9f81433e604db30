"""Readable UTF-8 message → the bytes a mail client would send: encoded words, transfer encodings, CRLF.

A source is an .eml written in clear: each part declares its charset and transfer encoding in its own headers and this
module applies them. A part whose body is the line `@name` carries that attachment. Boundaries, dates and ids are those of
the source, so that the forms of real clients (boundaries, header order, X- headers) are kept as they are.
"""

import base64
import quopri
import re
from collections.abc import Mapping
from email.header import Header
from email.message import Message
from email.parser import HeaderParser

_WORD = re.compile(r'("[^"]*"|[^<>,]+)(?=\s*<)')


def _encoded(name: str, value: str) -> str:
    if value.isascii():
        return f"{name}: {value}"
    if name in ("From", "To", "Cc", "Reply-To", "List-Id"):  # only the display name may be an encoded word

        def word(match: re.Match[str]) -> str:
            shown = match.group(0).strip().strip('"')
            return shown if shown.isascii() else Header(shown, "utf-8", maxlinelen=70).encode()

        return f"{name}: {_WORD.sub(word, value)}"
    return f"{name}: {Header(value, 'utf-8', header_name=name, maxlinelen=75).encode()}"


def _transfer(body: str, part: Message, attachments: Mapping[str, bytes]) -> bytes:
    if body.startswith("@"):
        raw = attachments[body.strip()[1:]]
    else:
        raw = body.encode(part.get_content_charset() or "us-ascii")
    match (part.get("Content-Transfer-Encoding") or "7bit").lower():
        case "base64":
            return base64.encodebytes(raw if body.startswith("@") else raw.replace(b"\n", b"\r\n")).rstrip(b"\n")
        case "quoted-printable":
            return quopri.encodestring(raw)
        case "7bit" | "8bit":
            return raw
        case other:
            raise ValueError(f"unknown Content-Transfer-Encoding '{other}'")


def _encode_part(source: str, attachments: Mapping[str, bytes]) -> bytes:
    head, _, body = source.partition("\n\n")
    part = HeaderParser().parsestr(head + "\n\n")
    lines = "\n".join(_encoded(name, re.sub(r"\n[ \t]+", "\n ", value)) for name, value in part.items())
    boundary = part.get_boundary()
    if boundary is None:
        return lines.encode("ascii") + b"\n\n" + _transfer(body, part, attachments)
    preamble, *rest = re.split(rf"^--{re.escape(boundary)}(?:--)?\n?", body, flags=re.MULTILINE)
    *children, epilogue = rest
    mark = b"--" + boundary.encode()
    parts = b"".join(mark + b"\n" + _encode_part(c.removesuffix("\n"), attachments) + b"\n" for c in children)
    return lines.encode("ascii") + b"\n\n" + preamble.encode() + parts + mark + b"--\n" + epilogue.encode()


def encode_message(source: str, attachments: Mapping[str, bytes]) -> bytes:
    """The RFC 5322 bytes of `source` with CRLF line ends; KeyError names an attachment that was not built."""
    return _encode_part(source, attachments).replace(b"\n", b"\r\n")
