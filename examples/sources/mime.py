"""Readable UTF-8 message → what a mail client would send: encoded words, encodings, CRLF.

A source is an .eml written in clear: each part declares its charset and transfer encoding in its
headers and this module applies them. A part whose body is the line `@name` carries that attachment.
Boundaries, dates, ids and the order of headers are the source's: real clients' forms are kept.
"""

import base64
import quopri
import re
from collections.abc import Mapping
from email.header import Header
from email.message import Message
from email.parser import HeaderParser

_NAME = re.compile(r"[^<>,]+(?=\s<)")
_ADDRESSES = ("From", "To", "Cc", "Reply-To", "List-Id")


def _encoded_name(match: re.Match[str]) -> str:
    # As JavaMail does: one encoded word from the first to the last word that needs it.
    words = match.group(0).strip().split(" ")
    odd = [i for i, word in enumerate(words) if not word.isascii()]
    if odd:
        span = slice(odd[0], odd[-1] + 1)
        words[span] = [Header(" ".join(words[span]), "utf-8", maxlinelen=76).encode()]
    return " " * match.group(0).startswith(" ") + " ".join(words)


def _encoded(name: str, value: str) -> str:
    if value.isascii():
        return f"{name}: {value}"
    if name in _ADDRESSES:
        return f"{name}: {_NAME.sub(_encoded_name, value)}"
    return f"{name}: {Header(value, 'utf-8', header_name=name, maxlinelen=75).encode()}"


def _transfer(body: str, part: Message, attachments: Mapping[str, bytes]) -> bytes:
    if body.startswith("@"):
        raw = attachments[body.strip()[1:]]
    else:
        raw = body.encode(part.get_content_charset() or "us-ascii")
    match (part.get("Content-Transfer-Encoding") or "7bit").lower():
        case "base64":
            text = not body.startswith("@")
            return base64.encodebytes(raw.replace(b"\n", b"\r\n") if text else raw).rstrip(b"\n")
        case "quoted-printable":
            return quopri.encodestring(raw)
        case "7bit" | "8bit":
            return raw
        case other:
            raise ValueError(f"unknown Content-Transfer-Encoding '{other}'")


def _encode_part(source: str, attachments: Mapping[str, bytes]) -> bytes:
    head, _, body = source.partition("\n\n")
    part = HeaderParser().parsestr(head + "\n\n")
    lines = "\n".join(
        _encoded(name, re.sub(r"\n[ \t]+", "\n ", value)) for name, value in part.items()
    )
    boundary = part.get_boundary()
    if boundary is None:
        return lines.encode("ascii") + b"\n\n" + _transfer(body, part, attachments)
    preamble, *rest = re.split(rf"^--{re.escape(boundary)}(?:--)?\n?", body, flags=re.MULTILINE)
    *children, epilogue = rest
    mark = b"--" + boundary.encode()
    encoded = [_encode_part(child.removesuffix("\n"), attachments) for child in children]
    parts = b"".join(mark + b"\n" + child + b"\n" for child in encoded)
    start = lines.encode("ascii") + b"\n\n" + preamble.encode()
    return start + parts + mark + b"--\n" + epilogue.encode()


def encode_message(source: str, attachments: Mapping[str, bytes]) -> bytes:
    """The bytes of `source`, CRLF line ends; KeyError names an attachment that was not built."""
    return _encode_part(source, attachments).replace(b"\n", b"\r\n")
