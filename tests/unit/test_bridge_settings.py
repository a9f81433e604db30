"""What `[bridge]` refuses, and what it adds to the topology."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.admin import declared
from shared.bridge import Bridge, Incoming, Outgoing, is_loopback
from shared.settings import Settings
from shared.topology import MAIL_REPLY, STAGES, stages_of


def test_replies_wait_for_the_bridge_only_where_it_sends() -> None:
    assert declared(Settings()) == STAGES
    reading = Bridge(incoming={"default": Incoming(host="imap.example")})
    assert declared(Settings(bridge=reading)) == STAGES
    sending = Bridge(outgoing={"default": Outgoing(host="smtp.example", sender="a@b.example")})
    assert declared(Settings(bridge=sending)) == (*STAGES, MAIL_REPLY)
    assert stages_of("mail") == (MAIL_REPLY,)


def test_without_accounts_there_is_nothing_to_run() -> None:
    assert not Bridge().configured
    assert Bridge(incoming={"default": Incoming(host="imap.example")}).configured


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - refused, that is the test
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"security": "none"}, "in clear"),
        ({"password": "x"}, "need 'user'"),
        ({"user": "u", "password": "x", "token_file": "/t"}, "not both"),
        ({"after": "move"}, "move_to"),
        ({"move_to": "Done"}, "move_to"),
        ({"keyword": "two words"}, "pattern"),
        ({"pasword": "x"}, "pasword"),
    ],
)
def test_a_wrong_account_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Incoming(**({"host": "imap.example"} | changes))
