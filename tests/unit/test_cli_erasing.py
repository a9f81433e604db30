"""``sourcier erase`` names a sender as feedback does, or says why it cannot."""

from __future__ import annotations

import pytest

from services.feedback.erasing import sender_sha256
from shared.cli import erasing
from shared.cli.problem import Problem
from shared.document_events import MailErasedData


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[MailErasedData]:
    told: list[MailErasedData] = []

    async def say(_where: object, data: MailErasedData) -> None:
        told.append(data)

    monkeypatch.setattr(erasing, "locate", lambda _data: None)
    monkeypatch.setattr(erasing, "_say", say)
    return told


@pytest.mark.parametrize(
    "sender", ["jeanne@x.example", " Jeanne@X.example ", "Jeanne <jeanne@x.example>"]
)
def test_an_address_is_found_however_it_is_written(
    said: list[MailErasedData], sender: str, capsys: pytest.CaptureFixture[str]
) -> None:
    erasing.erase(sender=sender)
    assert [data.sender_sha256 for data in said] == [sender_sha256("jeanne@x.example")]
    assert "audit page" in capsys.readouterr().out


@pytest.mark.parametrize("sender", ["", " ", "jeanne", "@x.example", "Jeanne <>", "a@x, b@y"])
def test_what_is_no_address_names_nobody(said: list[MailErasedData], sender: str) -> None:
    with pytest.raises(Problem, match="is no address"):
        erasing.erase(sender=sender)
    assert said == []
