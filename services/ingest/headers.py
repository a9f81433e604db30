"""Mail headers as plain text: decoded, unfolded, never raising on odd input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import errors
from email.header import decode_header
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime

from services.ingest.charsets import decode, printable

Fields = tuple[tuple[str, str], ...]

MAX_ADDRESSES = 500
MAX_ADDRESS_CHARS = 320
"""64 of a local part, @, 255 of a domain (RFC 5321, 4.5.3.1)."""
MAX_HEADER_CHARS = 8192
"""Characters of one header that are looked at; what follows is dropped."""
MAX_ID_CHARS = 300
_ID = re.compile(rf"<[^<>\s]{{1,{MAX_ID_CHARS - 2}}}>")
_BARE_ADDRESS = re.compile(r"[\w.+%=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*")
_IN_BRACKETS = re.compile(rf"<({_BARE_ADDRESS.pattern})>")
_PHRASE = re.compile(r'"(?:[^"\\]|\\.)*"?|([^<>,;:"()\\]+)(<?)')
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_KNOWN = frozenset(
    {"from", "to", "cc", "subject", "date", "message-id", "received", "return-path", "mime-version"}
    | {"content-type", "sender", "reply-to", "delivered-to", "x-mailer"}
)
# What the standard parser is known to raise on hostile headers (nested comments, odd parameters,
# encoded words), besides its own MessageError.
PARSER_ERRORS = (
    errors.MessageError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    RecursionError,
)


def raw_headers(message: EmailMessage) -> Iterator[tuple[str, str]]:
    """Every header of `message` in order: its name in lower case, its value without folds.

    Encoded words stay as they are: an address must be told from a name before they are decoded.
    """
    for name, raw in message.raw_items():
        yield printable(name).lower(), _flat(str(raw))


def decoded(raw: str) -> str:
    """One raw header value: raw 8-bit text and RFC 2047 words decoded, folds removed."""
    flat = _flat(raw)
    if "=?" not in flat:
        return flat
    try:
        pieces = decode_header(flat)
    except PARSER_ERRORS:
        return flat
    return printable("".join(_piece(text, charset) for text, charset in pieces))


def _flat(raw: str) -> str:
    # Cut before any expression looks at it: the sender chooses how long it is.
    return printable(_FOLD.sub(" ", _eight_bit(raw)[:MAX_HEADER_CHARS]).strip())


def _piece(text: str | bytes, charset: str | None) -> str:
    if isinstance(text, str):
        return text
    if charset is None:
        # decode_header gives the text between encoded words as raw-unicode-escape bytes.
        return text.decode("raw-unicode-escape", "replace")
    return decode(text, charset)[0]


def _eight_bit(raw: str) -> str:
    if raw.isascii():
        return raw
    return decode(raw.encode("utf-8", "surrogateescape"), None)[0]


def is_mail(fields: Fields) -> bool:
    """Whether the headers hold at least one that only a message has."""
    return any(name in _KNOWN for name, _ in fields)


def value(fields: Fields, name: str) -> str:
    """The first value of `name`, or ""."""
    return next((text for key, text in fields if key == name), "")


def one_line(text: str) -> str:
    """`text` with its runs of spaces, tabs and line ends made single spaces."""
    return " ".join(text.split())


def ids(fields: Fields, name: str) -> tuple[str, ...]:
    """The message ids of a header in their angle brackets, each once."""
    return tuple(dict.fromkeys(_ID.findall(value(fields, name))))


def first_id(fields: Fields, name: str) -> str:
    """The first message id of a header, in brackets even where a program left them away."""
    found = ids(fields, name)
    if found:
        return found[0]
    words = value(fields, name).split()
    bare = words[0].strip("<>") if words else ""
    return f"<{bare}>" if "@" in bare and len(bare) <= MAX_ID_CHARS - 2 else ""


def addresses(raw: Fields, name: str) -> tuple[tuple[str, str], ...]:
    """(address, display name) of each mailbox of a raw header, at most MAX_ADDRESSES.

    Only the names are decoded: an address within an encoded word is part of a name (RFC 2047, 5).
    """
    values = [_PHRASE.sub(_quoted, text) for key, text in raw if key == name]
    try:
        pairs = getaddresses(values)
    except PARSER_ERRORS:
        pairs = []
    found = [(address.strip().lower(), one_line(decoded(label))) for label, address in pairs]
    found = [pair for pair in found if "@" in pair[0] and len(pair[0]) <= MAX_ADDRESS_CHARS]
    return tuple(dict.fromkeys(found or _bare(values)))[:MAX_ADDRESSES]


def _quoted(match: re.Match[str]) -> str:
    """An address that stands for the name before `<…>` in quotes, else it would be the first."""
    phrase, bracket = match.groups(default="")
    if not bracket or "@" not in phrase:
        return match.group()
    return f'"{phrase.strip()}" <'


def _bare(values: list[str]) -> list[tuple[str, str]]:
    """What looks like an address where newer Pythons give nothing: one bad one in the header.

    Those in angle brackets first: `a@x.fr <b@y.fr>` is from b, whatever it calls itself.
    """
    bracketed = [match for text in values for match in _IN_BRACKETS.findall(text)]
    free = [match for text in values for match in _BARE_ADDRESS.findall(text)]
    return [(address.lower(), "") for address in bracketed or free]


def date(text: str) -> datetime | None:
    """The date in UTC, or None when it cannot be read; no zone given means UTC."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def charset(part: EmailMessage) -> str | None:
    """The declared charset of a part, or None."""
    try:
        return part.get_content_charset()
    except PARSER_ERRORS:
        return None


def file_name(part: EmailMessage) -> str:
    """The file name a part declares, without folders, or ""."""
    try:
        name = part.get_filename() or ""
    except PARSER_ERRORS:
        return ""
    return base_name(decoded(name))


def base_name(name: str) -> str:
    """`name` without the folders that stand before it, bounded."""
    return one_line(printable(name)).replace("\\", "/").rsplit("/", 1)[-1][:200]


def mended_encoding(part: EmailMessage) -> str:
    """The transfer encoding of a part, its header set right when spaces hide it from the parser."""
    try:
        raw = str(part.get("content-transfer-encoding", ""))
        encoding = raw.split(";")[0].strip().strip("\"'").lower()
        if encoding != raw.lower():
            part.replace_header("content-transfer-encoding", encoding)
    except PARSER_ERRORS:
        return ""
    return encoding


def is_flowed(part: EmailMessage) -> bool:
    """Whether a text part is `format=flowed` (RFC 3676)."""
    try:
        return str(part.get_param("format", "")).lower() == "flowed"
    except PARSER_ERRORS:
        return False


def unfolded(text: str) -> str:
    """RFC 3676: soft line breaks removed, quotes kept; `-- ` stays a line of its own."""
    lines: list[str] = []
    joining = False
    for line in printable(text).split("\n"):
        quote = re.match(r"(?:> ?)*", line)
        depth = quote.group().count(">") if quote else 0
        body = line[quote.end() :] if depth and quote else line.removeprefix(" ")
        if joining and lines and depth == 0 and body != "-- ":
            lines[-1] += body
        else:
            lines.append(line if depth else body)
        joining = depth == 0 and body.endswith(" ") and body != "-- "
    return "\n".join(lines)


def serialised(message: EmailMessage) -> bytes:
    """A forwarded message as bytes, for the parsers of documents."""
    try:
        return message.as_bytes()
    except PARSER_ERRORS:
        body = message.get_payload(decode=True)
        return body if isinstance(body, bytes) else b""
