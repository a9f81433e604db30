"""Reads a DKIM signature's private key, without a library: the operator's command has none."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.settings import Misconfigured

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.+?)-----END \1-----", re.DOTALL)
_RSA = bytes.fromhex("06092a864886f70d010101")
_ED25519 = bytes.fromhex("06032b6570")
_SEED = bytes.fromhex("04220420")
"""What stands before the 32 bytes of an Ed25519 key."""
_HOW = "make one as docs/mail.md shows"


@dataclass(frozen=True)
class Key:
    """``material``: the PEM file of an RSA key, the seed in base64 of an Ed25519 key."""

    algorithm: Literal["rsa-sha256", "ed25519-sha256"]
    material: bytes


def read(path: Path) -> Key:
    """The key in a PEM file (RSA: PKCS#1 or PKCS#8; Ed25519: PKCS#8). Raises Misconfigured."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    found = _PEM.search(content)
    if not found:
        raise Misconfigured(f"{path} holds no key in PEM form: {_HOW}")
    kind = found[1].decode("ascii")
    try:
        der = base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error as error:
        raise Misconfigured(f"{path}: its {kind} is damaged or encrypted: {_HOW}") from error
    if kind == "RSA PRIVATE KEY" or (kind == "PRIVATE KEY" and _RSA in der[:40]):
        return Key("rsa-sha256", content)
    if kind == "PRIVATE KEY" and _ED25519 in der[:40]:
        seed = der.partition(_SEED)[2][:32]
        return Key("ed25519-sha256", base64.b64encode(seed))
    raise Misconfigured(f"{path} holds a {kind}, not an RSA or Ed25519 private key: {_HOW}")
