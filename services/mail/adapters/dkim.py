"""DKIM signatures (RFC 6376) by dkimpy."""

from __future__ import annotations

import dkim
from dkim.crypto import UnparsableKeyError, parse_pem_private_key

from shared import dkim_keys
from shared.bridge import Signature
from shared.settings import Misconfigured

LEAST_BITS = 1024
"""Receivers take no shorter RSA key (RFC 8301)."""
SIGNED = (
    *(b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id"),
    *(b"in-reply-to", b"references", b"mime-version", b"content-type"),
)
"""Each is signed once more than it is there, so that none can be added on the way."""
_TRIAL = b"From: a@b.example\r\n\r\n"


class Signer:
    """Signs e-mails for one domain."""

    def __init__(self, config: Signature, domain: str) -> None:
        """``domain`` is the sender's, for when none is configured. Raises Misconfigured."""
        self._selector = config.selector.encode()
        self._domain = (config.domain or domain).encode()
        self._key = dkim_keys.read(config.key_file)
        try:
            if self._key.algorithm == "rsa-sha256":
                bits = parse_pem_private_key(self._key.material)["modulus"].bit_length()
                if bits < LEAST_BITS:
                    raise Misconfigured(f"{config.key_file} has {bits} bits: 2048 are usual")
            self.signed(_TRIAL)
        except (dkim.DKIMException, UnparsableKeyError, ValueError) as error:
            raise Misconfigured(f"{config.key_file} cannot sign: {error}") from error

    def signed(self, content: bytes) -> bytes:
        """``content`` (7-bit, with CRLF) behind its signature."""
        made = dkim.DKIM(content, signature_algorithm=self._key.algorithm.encode())
        present = [name.lower() for name, _ in made.headers]
        names = [name for name in SIGNED for _ in range(present.count(name) + 1)]
        header: bytes = made.sign(
            self._selector,
            self._domain,
            self._key.material,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=names,
        )
        return header + content
