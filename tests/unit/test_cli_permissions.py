"""The broker's users may do what the topology says of them, and nothing else."""

from __future__ import annotations

import re

import pytest

from deploy.local.permissions import (
    DOWNSTREAM,
    MAIL_SYSTEM,
    OPERATOR,
    USERS,
    accounts,
    allowed,
)
from shared.registry import CONTRACT
from shared.topology import BRIDGE_STAGES, SAYS, STAGES


def may(user: str, subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in allowed(user).publish)


def matches(pattern: str, subject: str) -> bool:
    """NATS' own rule: ``*`` is one token, ``>`` the rest."""
    escaped = re.escape(pattern).replace(r"\*", "[^.]+").replace(r"\>", ">").replace(">", ".+")
    return re.fullmatch(escaped, subject) is not None


@pytest.mark.parametrize("service", sorted(SAYS))
def test_a_service_publishes_its_own_events_only(service: str) -> None:
    for kind in CONTRACT:
        if kind.nats_prefix().startswith("message"):
            continue
        assert may(service, f"{kind.nats_prefix()}.default") == (kind in SAYS[service])


@pytest.mark.parametrize("user", sorted({*SAYS, MAIL_SYSTEM}))
def test_a_service_fetches_from_its_own_consumers_only(user: str) -> None:
    for stage in (*STAGES, *BRIDGE_STAGES):
        mine = stage.service == user
        place = f"{stage.stream.name}.{stage.durable}"
        assert may(user, f"$JS.API.CONSUMER.MSG.NEXT.{place}") == mine
        assert may(user, f"$JS.ACK.{place}.1.2.3.4.5") == mine
        assert may(user, f"dead.{stage.durable}") == mine


@pytest.mark.parametrize("user", sorted(set(USERS) - {OPERATOR}))
def test_only_the_operator_administers_streams(user: str) -> None:
    for call in ("STREAM.UPDATE.MAIL", "STREAM.DELETE.MAIL", "STREAM.PURGE.DEAD"):
        assert not may(user, f"$JS.API.{call}")
        assert may(OPERATOR, f"$JS.API.{call}")
    assert not may(user, "$JS.API.CONSUMER.DELETE.MAIL.ingest-mail")


@pytest.mark.parametrize("user", USERS)
def test_replies_reach_their_asker_only(user: str) -> None:
    inboxes = [s for s in allowed(user).subscribe if s.startswith("_INBOX")]
    others = [s for u in USERS if u != user for s in allowed(u).subscribe if s.startswith("_INBOX")]
    assert len(inboxes) == 1
    assert not set(inboxes) & set(others)


def test_a_draft_in_progress_is_told_by_generate_and_followed_by_feedback() -> None:
    subject = "progress.draft.v1.default.1b4e28ba"
    assert {user for user in USERS if may(user, subject)} == {"generate"}
    heard = {u for u in USERS if any(matches(s, subject) for s in allowed(u).subscribe)}
    assert heard == {"feedback", OPERATOR}


def test_the_mail_system_gets_approved_replies_and_nothing_else() -> None:
    created = [s for s in allowed(MAIL_SYSTEM).publish if "CONSUMER.CREATE" in s]
    assert created == ["$JS.API.CONSUMER.CREATE.DRAFT.mailsystem.reply.approved.v1.>"]


def test_downstream_programs_make_their_own_consumers_and_say_nothing() -> None:
    assert may(DOWNSTREAM, "$JS.API.CONSUMER.CREATE.DRAFT.crm.draft.ready.v1.>")
    for stage in (*STAGES, *BRIDGE_STAGES):
        for call in ("CREATE", "DELETE", "DURABLE.CREATE"):
            place = f"{stage.stream.name}.{stage.durable}"
            assert not may(DOWNSTREAM, f"$JS.API.CONSUMER.{call}.{place}")
            assert not may(DOWNSTREAM, f"$JS.API.CONSUMER.{call}.{place}.{stage.subject}")
    assert not any(may(DOWNSTREAM, f"{kind.nats_prefix()}.default") for kind in CONTRACT)


def test_an_account_is_an_environment() -> None:
    text = accounts("staging", {"ingest": "UABC"})
    assert '"staging"' in text
    assert "nkey: UABC" in text
