"""The accounts file: its model, its words, the password policy. Pure."""

from __future__ import annotations

import hashlib
import json
import secrets
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from services.feedback.access import Role, Viewer
from shared.envelope import Frozen, Sha256, Slug

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")]
RESERVED = frozenset({"operator", "system"})
"""Names that the program itself acts under."""
PASSWORD_LEAST = 12
PASSWORD_MOST = 256
_COMMON = ("motdepasse", "password", "azerty", "qwerty", "123456", "sourcier")


class Unreadable(Exception):
    """The accounts file is not one; says what to change."""


class Unfit(Exception):
    """A password or an account that cannot be taken; says why."""


class Account(Frozen):
    """Who somebody is and what they may, whichever login says so.

    ``mailboxes`` None means every one, as an admin's always are: who makes links for any account
    could enter as one that has them. Sessions opened before ``since`` are void: it moves when
    the password changes.
    """

    name: AccountName
    display: str = Field(min_length=1, max_length=200)
    roles: frozenset[Role]
    mailboxes: frozenset[Slug] | None
    pseudonym: str = Field(min_length=4, max_length=64)
    since: AwareDatetime

    @field_validator("mailboxes")
    @classmethod
    def _every_one_for_an_admin(
        cls, named: frozenset[Slug] | None, known: ValidationInfo
    ) -> frozenset[Slug] | None:
        return None if "admin" in known.data.get("roles", ()) else named


class ApiToken(Frozen):
    """A program's key to the API; only its hash is kept."""

    name: str = Field(min_length=1, max_length=64)
    sha256: Sha256


class StoredAccount(Account):
    """An account of the file: how it proves itself; ``password`` is an Argon2id hash."""

    password: str | None = None
    tokens: tuple[ApiToken, ...] = ()


class _Row(Frozen):
    """An account as it stands in the file, under its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    display: str
    roles: frozenset[Role]
    mailboxes: Literal["all"] | frozenset[Slug]
    pseudonym: str
    since: AwareDatetime
    password: str | None = None
    tokens: dict[str, Sha256] = Field(default_factory=dict)


def viewer_of(account: Account, audiences: Mapping[str, Iterable[str]]) -> Viewer:
    """The account as queries ask for it; ``audiences`` of documents by mailbox."""
    mine = account.mailboxes
    read = None if mine is None else frozenset(a for m in mine for a in audiences.get(m, ()))
    return Viewer(
        account=account.name,
        name=account.display,
        roles=account.roles,
        mailboxes=mine,
        audiences=read,
        pseudonym=account.pseudonym,
    )


def new_pseudonym() -> str:
    """Says nothing about the person, unlike anything computed from the name."""
    return f"p-{secrets.token_hex(6)}"


def new_token() -> str:
    """A secret of 256 bits that reads as one, so that scanners of secrets find it."""
    return f"sourcier_{secrets.token_urlsafe(32)}"


def digest(token: str) -> str:
    """What is kept of a random secret (a fast hash will do: it cannot be guessed)."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_password(password: str, account: str) -> None:
    """Raises Unfit unless the password is long and not among the first that are tried."""
    if len(password) < PASSWORD_LEAST:
        raise Unfit(f"a password needs {PASSWORD_LEAST} characters or more: take a few words")
    if len(password) > PASSWORD_MOST:
        raise Unfit(f"a password may have {PASSWORD_MOST} characters at most")
    left = password.lower()
    for known in (*_COMMON, account.lower()):
        left = left.replace(known, "")
    if len(set(password)) < 5 or len(left) < PASSWORD_LEAST // 2:
        raise Unfit("this password is among the first that are tried: take a few words")


def parse(text: str) -> dict[str, StoredAccount]:
    """The accounts of a file by name; raises Unreadable."""
    try:
        rows = tomllib.loads(text)
        return {name: _account(name, _Row.model_validate(row)) for name, row in rows.items()}
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"it is not TOML: {error}") from error
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]]
        raise Unreadable("; ".join(told)) from error


def written(accounts: Iterable[StoredAccount]) -> str:
    """The file's text; ``parse`` gives the same accounts again."""
    head = "# Accounts of the review desk. Written by `sourcier accounts`; keep it to yourself.\n"
    return head + "".join(_table(each) for each in sorted(accounts, key=lambda a: a.name))


def _account(name: str, row: _Row) -> StoredAccount:
    if name in RESERVED:
        raise Unreadable(f"the name {name!r} is the program's own: take another")
    return StoredAccount(
        name=name,
        display=row.display,
        roles=row.roles,
        mailboxes=None if row.mailboxes == "all" else frozenset(row.mailboxes),
        pseudonym=row.pseudonym,
        since=row.since,
        password=row.password,
        tokens=tuple(ApiToken(name=n, sha256=h) for n, h in sorted(row.tokens.items())),
    )


def _table(account: StoredAccount) -> str:
    mailboxes = "all" if account.mailboxes is None else sorted(account.mailboxes)
    values = {
        "display": account.display,
        "roles": sorted(account.roles),
        "mailboxes": mailboxes,
        "pseudonym": account.pseudonym,
        "password": account.password,
    }
    lines = [f"\n[{_quoted(account.name)}]", f"since = {account.since.isoformat()}"]
    lines += [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]
    if account.tokens:
        lines.append(f"[{_quoted(account.name)}.tokens]")
        lines += [f"{_quoted(token.name)} = {_quoted(token.sha256)}" for token in account.tokens]
    return "\n".join(lines) + "\n"


def _quoted(value: str | Sequence[str]) -> str:
    """A TOML value: JSON's strings are TOML's, but for U+007F."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
