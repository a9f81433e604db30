"""Signed and encrypted parts (S/MIME, PGP): what is signed is read, what is encrypted is told."""

from __future__ import annotations

import re

MAX_NESTING = 16
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_ENVELOPED = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d0109100117"))
_OCTETS, _OID, _SEQUENCE, _CONTEXT_0 = 0x04, 0x06, 0x30, 0xA0
_PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_PGP_END = "-----END PGP SIGNATURE-----"
_ARMOUR_HEADERS = re.compile(r"\s*(?:[A-Za-z-]{1,40}: [^\n]*\n)*\n?")
_ESCAPED_DASH = re.compile(r"^- ", re.MULTILINE)
_PGP_ENCRYPTED = re.compile(r"\s*-----BEGIN PGP MESSAGE-----")


class _Broken(ValueError):
    """Not the DER or BER that was announced."""


def without_armour(text: str) -> str:
    """`text` with what an inline PGP signature covers, the armour around it left out."""
    before, begin, rest = text.partition(_PGP_SIGNED)
    content, sign, rest = rest.partition(_PGP_SIGNATURE)
    _, end, after = rest.partition(_PGP_END)
    if not (begin and sign and end):
        return text
    signed = _ARMOUR_HEADERS.sub("", content, count=1).rstrip("\n")
    return before + _ESCAPED_DASH.sub("", signed) + after


def is_pgp_encrypted(text: str) -> bool:
    """Whether `text` is nothing but an encrypted block."""
    return bool(_PGP_ENCRYPTED.match(text))


def is_enveloped(data: bytes) -> bool:
    """Whether a CMS message (RFC 5652) is an encrypted one."""
    try:
        return bytes(_parts(memoryview(data))[0]) in _ENVELOPED
    except _Broken:
        return False


def signed_content(data: bytes) -> bytes | None:
    """The content that a CMS message signs and carries, or None when it carries none."""
    try:
        kind, explicit = _parts(memoryview(data))
        if bytes(kind) != _SIGNED_DATA:
            return None
        _, signed = _element(explicit)[:2]
        # version, digest algorithms, then the content itself.
        rest = signed
        for _ in range(2):
            rest = _element(rest)[2]
        tag, inner, _ = _element(rest)
        if tag != _SEQUENCE:
            return None
        _, _, after_type = _element(inner)
        tag, wrapped, _ = _element(after_type)
        return _octets(wrapped, 0) if tag == _CONTEXT_0 else None
    except _Broken:
        return None


def _parts(data: memoryview) -> tuple[memoryview, memoryview]:
    """The content type of a CMS message and its explicit content."""
    tag, body, _ = _element(data)
    if tag != _SEQUENCE:
        raise _Broken
    tag, kind, rest = _element(body)
    if tag != _OID:
        raise _Broken
    tag, content, _ = _element(rest)
    if tag != _CONTEXT_0:
        raise _Broken
    return kind, content


def _octets(data: memoryview, depth: int) -> bytes:
    """An octet string, in one piece or in several as streaming programs write it."""
    if depth > MAX_NESTING:
        raise _Broken
    found: list[bytes] = []
    while data:
        tag, body, data = _element(data)
        if tag == 0:
            break
        if tag & ~0x20 != _OCTETS:
            raise _Broken
        found.append(_octets(body, depth + 1) if tag & 0x20 else bytes(body))
    return b"".join(found)


def _element(data: memoryview, depth: int = 0) -> tuple[int, memoryview, memoryview]:
    """Tag, content and what follows; of an indefinite length the content goes to its end mark."""
    if len(data) < 2 or depth > MAX_NESTING or data[0] & 0x1F == 0x1F:
        raise _Broken
    tag, length, start = data[0], data[1], 2
    if length == 0x80:
        end = _end_mark(data, depth)
        return tag, data[start:end], data[end + 2 :]
    if length > 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start > 6 or start + length > len(data):
        raise _Broken
    return tag, data[start : start + length], data[start + length :]


def _end_mark(data: memoryview, depth: int) -> int:
    position = 2
    while bytes(data[position : position + 2]) != b"\x00\x00":
        if position >= len(data):
            raise _Broken
        rest = data[position:]
        position += len(rest) - len(_element(rest, depth + 1)[2])
    return position
