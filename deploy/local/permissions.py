"""What each user of the broker may say and hear, derived from the topology alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.document_events import MessageDead
from shared.registry import CONTRACT
from shared.topology import ANSWERS, ASKS, DRAFT, FOLLOWS, SAYS, STREAMS, TELLS, stages_of

OPERATOR = "operator"
"""The ``sourcier`` command and ``topology apply``: administers the account."""
MAIL_SYSTEM = "mailsystem"
"""A mail system that publishes e-mails and picks up approved replies; its client must use the
inbox prefix ``_INBOX_mailsystem``, as each service uses its own."""
DOWNSTREAM = "downstream"
"""Programs that read what becomes of drafts and replies, by consumers of these names."""
DURABLES = ("crm", "statistics", "webhook")
USERS = (*SAYS, OPERATOR, MAIL_SYSTEM, DOWNSTREAM)


@dataclass(frozen=True)
class Permissions:
    """Subjects that a user may publish and subscribe to; nothing else."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False
    """Whether it may also publish on the reply subject of a request it got."""


def allowed(user: str) -> Permissions:
    """The permissions of ``user``, one of ``USERS``."""
    if user == OPERATOR:
        return _operator()
    if user == MAIL_SYSTEM:
        return _mail_system()
    if user == DOWNSTREAM:
        return _downstream()
    return _service(user)


def _service(service: str) -> Permissions:
    publish = [f"{kind.nats_prefix()}.>" for kind in SAYS[service]]
    publish += ASKS.get(service, ())
    publish += [f"{prefix}.>" for prefix in TELLS.get(service, ())]
    publish += [f"$JS.API.STREAM.INFO.{stream.name}" for stream in STREAMS]
    for stage in stages_of(service):
        publish.append(f"dead.{stage.durable}")
        publish += _consumer(stage.stream.name, stage.durable)
    answers = ANSWERS.get(service, ())
    follows = (f"{prefix}.>" for prefix in FOLLOWS.get(service, ()))
    subscribe = (f"_INBOX_{service}.>", *answers, *follows)
    return Permissions(tuple(publish), subscribe, bool(answers))


def _consumer(stream: str, durable: str) -> list[str]:
    """Fetch from one durable consumer, look at it, settle its messages."""
    return [
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
        f"$JS.API.CONSUMER.INFO.{stream}.{durable}",
        f"$JS.ACK.{stream}.{durable}.>",
    ]


def _operator() -> Permissions:
    events = {f"{kind.nats_prefix()}.>" for kind in CONTRACT if kind is not MessageDead}
    queries = {query for asked in ASKS.values() for query in asked}
    publish = ("$JS.API.>", "$JS.ACK.>", "$JS.FC.>", *sorted(events | queries))
    return Permissions(publish, ("_INBOX.>", "progress.>"))


def _mail_system() -> Permissions:
    approved = "reply.approved.v1.>"
    publish = [f"{kind.nats_prefix()}.>" for kind in SAYS["mail"]]
    publish += [
        f"$JS.API.STREAM.INFO.{DRAFT.name}",
        f"$JS.API.CONSUMER.CREATE.{DRAFT.name}.{MAIL_SYSTEM}.{approved}",
        *_consumer(DRAFT.name, MAIL_SYSTEM),
    ]
    return Permissions(tuple(publish), (f"_INBOX_{MAIL_SYSTEM}.>",))


def _downstream() -> Permissions:
    publish = [f"$JS.API.STREAM.INFO.{DRAFT.name}"]
    for durable in DURABLES:
        place = f"{DRAFT.name}.{durable}"
        # Names of its own only: whoever may make any consumer may also change a service's.
        publish += [f"$JS.API.CONSUMER.CREATE.{place}", f"$JS.API.CONSUMER.CREATE.{place}.>"]
        publish += [f"$JS.API.CONSUMER.DELETE.{place}", *_consumer(DRAFT.name, durable)]
    return Permissions(tuple(publish), (f"_INBOX_{DOWNSTREAM}.>",))


def accounts(environment: str, public_keys: Mapping[str, str]) -> str:
    """The part of a nats-server configuration that admits ``public_keys`` (by user name).

    An account per environment: two environments on one broker cannot hear each other.
    """
    users = "\n".join(_user(name, key) for name, key in public_keys.items())
    return (
        "accounts {\n"
        f'  "{environment}" {{\n'
        "    jetstream: enabled\n"
        f"    users: [\n{users}\n    ]\n"
        "  }\n"
        "}\n"
    )


def _user(name: str, key: str) -> str:
    may = allowed(name)
    replies = '\n        allow_responses: { max: 1, expires: "2m" }' if may.answers else ""
    return (
        f"      {{ # {name}\n"
        f"        nkey: {key}\n"
        f"        permissions: {{\n"
        f"        publish: {{ allow: [{_quoted(may.publish)}] }}\n"
        f"        subscribe: {{ allow: [{_quoted(may.subscribe)}] }}{replies}\n"
        f"        }}\n"
        f"      }}"
    )


def _quoted(subjects: tuple[str, ...]) -> str:
    return ", ".join(f'"{subject}"' for subject in subjects)
