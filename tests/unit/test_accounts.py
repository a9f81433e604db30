"""The accounts file: what it says, what it refuses; passwords; the tool that writes it."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import accounts_tool
from services.feedback.accounts import (
    ApiToken,
    StoredAccount,
    Unfit,
    Unreadable,
    check_password,
    digest,
    new_pseudonym,
    new_token,
    parse,
    viewer_of,
    written,
)
from services.feedback.adapters.accounts_file import AccountsFile, changing, read
from shared.settings import Misconfigured

JEANNE = StoredAccount(
    name="jeanne",
    display='Jeanne "la" Martin \\ \x7f',
    roles=frozenset({"agent", "curator"}),
    mailboxes=frozenset({"default"}),
    pseudonym="p-123456",
    since=datetime(2026, 11, 1, tzinfo=UTC),
    password="$argon2id$x",
    tokens=(ApiToken(name="crm", sha256=digest("x" * 40)),),
)


def test_what_is_written_is_read_again() -> None:
    admin = JEANNE.model_copy(update={"name": "admin", "mailboxes": None, "password": None})
    found = parse(written([JEANNE, admin]))
    assert found == {"jeanne": JEANNE, "admin": admin}


@given(display=st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_name_for_people_survives(display: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in display):
        return
    account = JEANNE.model_copy(update={"display": display})
    assert parse(written([account]))["jeanne"].display == display


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[jeanne", "not TOML"),
        ("jeanne = 3", "valid dictionary"),
        ("[jeanne]\nroles = ['boss']", "roles"),
        ("[jeanne]\nrole = ['agent']", "role"),
        (written([JEANNE]).replace('"jeanne"', '"operator"'), "program's own"),
        (written([JEANNE]).replace('"jeanne"', '"../x"'), "name"),
        (written([JEANNE]).replace('["default"]', '"some"'), "mailboxes"),
        (written([JEANNE]).replace("+00:00", ""), "since"),
    ],
)
def test_a_wrong_file_is_refused_in_words(text: str, word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        parse(text)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("trop court", "12 characters"),
        ("x" * 300, "256"),
        ("aaaaaaaaaaaaaa", "first that are tried"),
        ("motdepasse123456", "first that are tried"),
        ("jeannejeanne1", "first that are tried"),
        ("Sourcier2026!", "first that are tried"),
    ],
)
def test_weak_passwords_are_refused(password: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        check_password(password, "jeanne")


def test_a_few_words_are_a_good_password() -> None:
    check_password("cheval agrafe batterie", "jeanne")
    check_password("tYk3#vv9!mPq", "jeanne")


def test_secrets_are_long_and_never_twice() -> None:
    assert len({new_token() for _ in range(50)}) == 50
    assert len(new_token()) > 40
    assert len({new_pseudonym() for _ in range(50)}) == 50


def test_audiences_follow_the_mailboxes() -> None:
    audiences = {"default": ("public", "interne"), "autre": ("autre",)}
    assert viewer_of(JEANNE, audiences).audiences == {"public", "interne"}
    everyone = JEANNE.model_copy(update={"mailboxes": None})
    assert viewer_of(everyone, audiences).audiences is None
    nobody = JEANNE.model_copy(update={"mailboxes": frozenset({"gone"})})
    viewer = viewer_of(nobody, audiences)
    assert (viewer.audience_list, viewer.mailbox_list) == ([], ["gone"])


def test_an_admin_has_every_mailbox_whatever_the_file_says() -> None:
    text = written([JEANNE]).replace('["agent", "curator"]', '["admin", "agent"]')
    admin = parse(text)["jeanne"]
    assert 'mailboxes = ["default"]' in text
    assert admin.mailboxes is None
    assert viewer_of(admin, {"default": ("public",)}).audiences is None


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(written([JEANNE]))
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        AccountsFile(file)
    file.chmod(0o640)  # as a secret that a container mounts for its group
    AccountsFile(file)


async def test_changes_are_seen_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    accounts = AccountsFile(file)
    assert await accounts.named("jeanne") is None
    with changing(file) as held:
        held["jeanne"] = JEANNE
    assert file.stat().st_mode & 0o777 == 0o600
    assert await accounts.named("jeanne") == JEANNE
    assert await accounts.with_token(digest("x" * 40)) == JEANNE
    file.write_text("[broken")
    assert await accounts.named("jeanne") == JEANNE
    with changing_is_refused(), changing(file):
        pass
    assert file.read_text() == "[broken"
    file.unlink()
    assert await accounts.named("jeanne") is None
    assert await accounts.with_token(digest("x" * 40)) is None


def changing_is_refused() -> pytest.RaisesExc[Unreadable]:
    return pytest.raises(Unreadable, match="not TOML")


async def test_the_operator_is_known_by_its_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with pytest.raises(Misconfigured, match="cannot be read"):
        AccountsFile(tmp_path / "accounts.toml", token)
    token.write_text("short")
    with pytest.raises(Misconfigured, match="too short"):
        AccountsFile(tmp_path / "accounts.toml", token)
    token.write_text(f"{'t' * 43}\n")
    found = await AccountsFile(tmp_path / "accounts.toml", token).with_token(digest("t" * 43))
    assert found is not None
    assert (found.name, found.roles, found.mailboxes) == ("operator", {"admin"}, None)


def tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path, *words: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["accounts", "--file", str(file), *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO("agrafe-cheval-batterie\n"))
    status = accounts_tool.main()
    told = capsys.readouterr()
    return status, (told.out + told.err).strip()


def test_an_account_from_its_making_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "new" / "accounts.toml"

    def run(*words: str) -> tuple[int, str]:
        return tool(monkeypatch, capsys, file, *words)

    assert run("add", "jeanne", "--role", "agent", "--mailbox", "default")[0] == 0
    first = read(file)["jeanne"]
    assert (first.password or "").startswith("$argon2id$")
    assert "agrafe" not in file.read_text()
    assert "change" in run("add", "jeanne")[1]
    assert "mailboxes: all" in run("change", "jeanne", "--role", "admin")[1]
    assert read(file)["jeanne"].mailboxes is None
    assert "which it keeps" in run("change", "jeanne", "--role", "agent")[1]
    assert read(file)["jeanne"].roles == {"admin"}, "a refusal changes nothing"
    assert run("change", "jeanne", "--role", "data", "--every-mailbox")[0] == 0
    changed = read(file)["jeanne"]
    assert (changed.roles, changed.mailboxes) == ({"data"}, None)
    assert (changed.pseudonym, changed.password) == (first.pseudonym, first.password)
    status, token = run("token", "jeanne", "--token", "crm")
    assert status == 0
    assert token not in file.read_text()
    assert read(file)["jeanne"].tokens == (ApiToken(name="crm", sha256=digest(token)),)
    assert "revoke it first" in run("token", "jeanne", "--token", "crm")[1]
    (row,) = json.loads(run("list")[1])
    assert (row["name"], row["password"], row["tokens"]) == ("jeanne", True, ["crm"])
    assert token not in json.dumps(row)
    assert run("token", "jeanne", "--token", "crm", "--revoke")[0] == 0
    assert read(file)["jeanne"].tokens == ()
    assert run("password", "jeanne")[0] == 0
    assert read(file)["jeanne"].since > first.since
    assert run("remove", "jeanne")[0] == 0
    assert read(file) == {}
    assert run("remove", "jeanne") == (
        1,
        "there is no account 'jeanne'; see `sourcier accounts list`",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "operator"), "program's own"),
        (("add", "Jeanne Martin"), "name"),
        (("add", "jeanne", "--mailbox", "Pas Une Boîte"), "mailboxes"),
        (("change", "jeanne"), "no account"),
        (("token", "jeanne", "--token", "crm"), "no account"),
    ],
)
def test_what_cannot_be_done_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    why: str,
) -> None:
    status, told = tool(monkeypatch, capsys, tmp_path / "accounts.toml", *words)
    assert status == 1
    assert why in told
