"""Headers that cannot be abused: no line breaks, threading by well-formed Message-IDs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.errors import MessageError
from email.headerregistry import Address as Header
from email.policy import SMTP, EmailPolicy
from email.utils import parseaddr
from typing import Any

from shared.records import Address

_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_MESSAGE_ID = re.compile(r"^<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>$")
_LOCAL = re.compile(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}$")
_DOMAIN = re.compile(r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?$")
_IDS = {"message-id", "in-reply-to", "references"}


class Unsendable(Exception):
    """No e-mail can be made of this reply; the text is French and says why."""


class Policy(EmailPolicy):
    """SMTP's lines, with Message-IDs folded between them only.

    The standard library encodes a long Message-ID as if it was text, which breaks the thread.
    """

    def fold(self, name: str, value: Any) -> str:
        if name.lower() in _IDS:
            return f"{name}: " + "\r\n ".join(str(value).split()) + "\r\n"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _IDS:
            return self.fold(name, value).encode("ascii")
        return bytes(super().fold_binary(name, value))


POLICY = Policy(linesep=SMTP.linesep, cte_type="7bit", utf8=False)


def one_line(text: str, what: str) -> str:
    """``text`` when it may stand in a header. Raises Unsendable."""
    if _BREAKS.search(text):
        raise Unsendable(
            f"{what} contient un saut de ligne ou un caractère de commande : refusé, car il"
            " pourrait ajouter des en-têtes au message."
        )
    return text


def address(given: Address, what: str) -> Header:
    """The address as a header writes it, a domain with accents in its ASCII form.

    Raises Unsendable.
    """
    name = one_line(given.name, what)
    local, _, domain = one_line(given.address, what).strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        dotted = "." in (local[:1], local[-1:])
        if not (_LOCAL.match(local) and _DOMAIN.match(ascii_domain)) or dotted:
            raise ValueError(local)
        return Header(name, username=local, domain=ascii_domain)
    except (ValueError, MessageError) as error:
        raise Unsendable(f"{what} « {given.address} » n'est pas une adresse utilisable.") from error


def sender(text: str) -> Header:
    """``Name <address>`` of the settings. Raises Unsendable."""
    name, found = parseaddr(text)
    return address(Address(address=found, name=name), "L'adresse d'expédition")


def threading(in_reply_to: str, references: Iterable[str]) -> dict[str, str]:
    """In-Reply-To and References (RFC 5322 3.6.4): the thread, oldest first, the answered last.

    An identifier that is malformed (the other side's programs invent some) names no message and
    is left out; one with a line break in it is an attack. Raises Unsendable.
    """
    answered = one_line(in_reply_to, "L'identifiant du message").strip()
    ids = [one_line(each, "La liste des références").strip() for each in references]
    known = [each for each in dict.fromkeys(ids) if _MESSAGE_ID.match(each) and each != answered]
    if _MESSAGE_ID.match(answered):
        return {"In-Reply-To": answered, "References": " ".join([*known, answered])}
    return {"References": " ".join(known)} if known else {}
