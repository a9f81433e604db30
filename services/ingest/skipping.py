"""Which e-mails get no draft because a machine, a list or nobody is asking.

Answering automatic mail makes loops; RFC 3834 says what must never be answered.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from services.ingest.mime import Mail
from services.ingest.questions import is_reply, meaningful_subject

SkipCode = Literal["auto-reply", "list", "loop", "empty"]


@dataclass(frozen=True)
class SkipReason:
    """Why no draft is made: the contract's code and a sentence in French."""

    code: SkipCode
    reason_fr: str


_BULK = frozenset({"bulk", "list", "junk"})
_AUTO_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-failed-recipients",
)
_ROBOT = re.compile(
    r"^(?:mailer-daemon|postmaster|mail-daemon|daemon|abuse-noreply)@", re.IGNORECASE
)
_NO_REPLY = re.compile(
    r"^(?:no-?_?\.?reply|do-?_?not-?_?reply|ne-?_?pas-?_?repondre|nepasrepondre|noreponse"
    r"|no-?reponse"
    r"|bounces?)\b",
    re.IGNORECASE,
)
_ABSENCE = re.compile(
    r"^\s*(?:(?:re|tr)\s?:\s*)?(?:réponse automatique|reponse automatique|automatic reply"
    r"|auto(?:matic)?[- ]?reply"
    r"|autoreply|out of (?:the )?office|absence du bureau|absent du bureau|message d'absence"
    r"|je suis absente?|avis d'absence|undeliver(?:able|ed)|non remis|échec de (?:la )?remise"
    r"|delivery status notification|mail delivery (?:failed|subsystem)|returned mail"
    r"|accusé de réception automatique|automatische antwort)\b",
    re.IGNORECASE,
)


def skip_reason(
    mail: Mail,
    new_text: str,
    own_addresses: Collection[str],
    loop_header: str,
    envelope_from: str | None = None,
) -> SkipReason | None:
    """Why `mail` must not be answered, or None.

    `own_addresses`: the addresses that our replies leave from; `loop_header`: the header that our
    replies carry; `envelope_from`: the SMTP sender when known, "" for a bounce.
    """
    return (
        _loop(mail, {address.lower() for address in own_addresses}, loop_header)
        or _auto_reply(mail, envelope_from)
        or _list(mail)
        or _empty(mail, new_text)
    )


def correspondent_of(mail: Mail) -> str:
    """The address of who writes: a web form writes from a no-reply address for its Reply-To."""
    sender = mail.sender.address.lower()
    if not _NO_REPLY.match(sender):
        return sender
    others = (other.address.lower() for other in mail.reply_to)
    return next((address for address in others if not _NO_REPLY.match(address)), sender)


def _loop(mail: Mail, own: set[str], loop_header: str) -> SkipReason | None:
    if loop_header and mail.has_header(loop_header):
        return SkipReason(
            "loop",
            f"Message envoyé par ce service même (en-tête {loop_header}) : y répondre bouclerait.",
        )
    if mail.sender.address in own:
        return SkipReason(
            "loop",
            f"L'expéditeur {mail.sender.address} est une adresse de ce service : y répondre "
            f"bouclerait.",
        )
    return None


def _auto_reply(mail: Mail, envelope_from: str | None) -> SkipReason | None:
    proof = _machine_header(mail) or _bounce(mail, envelope_from) or _machine_sender(mail)
    if proof:
        return SkipReason(
            "auto-reply", f"Message automatique ({proof}) : il n'attend pas de réponse."
        )
    return None


def _machine_header(mail: Mail) -> str:
    submitted = mail.header("auto-submitted").split(";")[0].strip().lower()
    if submitted and submitted != "no":
        return f"Auto-Submitted : {submitted}"
    suppress = mail.header("x-auto-response-suppress").strip()
    if suppress and suppress.lower() != "none":
        return f"X-Auto-Response-Suppress : {suppress}"
    if mail.header("precedence").strip().lower() == "auto_reply":
        return "Precedence : auto_reply"
    return next((name for name in _AUTO_HEADERS if mail.has_header(name)), "")


def _bounce(mail: Mail, envelope_from: str | None) -> str:
    empty_path = mail.has_header("return-path") and mail.header("return-path").strip() in {"", "<>"}
    if empty_path or (envelope_from is not None and envelope_from.strip() in {"", "<>"}):
        return "expéditeur d'enveloppe vide"
    media_type = mail.header("content-type").split(";")[0].strip().lower()
    return "rapport de remise ou de lecture" if media_type == "multipart/report" else ""


def _machine_sender(mail: Mail) -> str:
    address = mail.sender.address
    if not address:
        return "aucun expéditeur"
    if _ROBOT.match(address):
        return f"expéditeur {address}"
    if _NO_REPLY.match(correspondent_of(mail)):
        return f"expéditeur {address}"
    return "objet d'une réponse automatique" if _ABSENCE.match(mail.subject) else ""


def _list(mail: Mail) -> SkipReason | None:
    precedence = mail.header("precedence").strip().lower()
    if precedence in _BULK:
        proof = f"Precedence : {precedence}"
    else:
        names = (("list-id", "List-Id"), ("list-unsubscribe", "List-Unsubscribe"))
        proof = next((label for name, label in names if mail.has_header(name)), "")
    if not proof:
        return None
    return SkipReason(
        "list", f"Envoi en nombre ou liste de diffusion ({proof}) : il n'attend pas de réponse."
    )


def _empty(mail: Mail, new_text: str) -> SkipReason | None:
    # The subject of a reply was written for an earlier mail: it asks nothing new.
    asks_by_subject = bool(meaningful_subject(mail.subject)) and not is_reply(mail.subject)
    if re.search(r"\w", new_text) or asks_by_subject:
        return None
    if mail.attachments:
        return SkipReason(
            "empty",
            "Le message n'a ni texte ni objet parlant, seulement des pièces jointes : rien n'est "
            "demandé.",
        )
    return SkipReason("empty", "Le message ne contient aucun texte nouveau : rien n'est demandé.")
