"""``python -m services.feedback.accounts_tool --file F VERB …``: keeps the accounts file.

`sourcier accounts` runs it. Passwords come from standard input, never from the command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.feedback.accounts import (
    RESERVED,
    ApiToken,
    StoredAccount,
    Unfit,
    Unreadable,
    check_password,
    digest,
    new_pseudonym,
    new_token,
)
from services.feedback.adapters.accounts_file import changing, hashed, read
from shared.clock import utcnow

Accounts = dict[str, StoredAccount]


@dataclass(frozen=True)
class Asked:
    """The words of the command line."""

    file: Path
    name: str = ""
    display: str | None = None
    role: list[str] | None = None
    mailbox: list[str] | None = None
    every_mailbox: bool = False
    no_password: bool = False
    token: str = ""
    revoke: bool = False


def add(accounts: Accounts, asked: Asked) -> str:
    """A new account. Raises Unfit."""
    if asked.name in accounts:
        raise Unfit(
            f"there is an account {asked.name!r}: change it with `sourcier accounts change`"
        )
    if asked.name in RESERVED:
        raise Unfit(f"the name {asked.name!r} is the program's own: take another")
    accounts[asked.name] = _checked(
        name=asked.name,
        display=asked.display or asked.name,
        roles=asked.role or (),
        mailboxes=None if asked.every_mailbox else (asked.mailbox or ()),
        pseudonym=new_pseudonym(),
        since=utcnow(),
        password=None if asked.no_password else _password(asked.name),
    )
    how = "enters by `sourcier accounts link`" if asked.no_password else "enters with its password"
    return f"account {asked.name} {how}; {_may(accounts[asked.name])}"


def change(accounts: Accounts, asked: Asked) -> str:
    """Other words, roles or mailboxes. Raises Unfit."""
    changes: dict[str, object] = {}
    if asked.display is not None:
        changes["display"] = asked.display
    if asked.role is not None:
        changes["roles"] = asked.role
    if asked.every_mailbox or asked.mailbox is not None:
        changes["mailboxes"] = None if asked.every_mailbox else asked.mailbox
    known = _known(accounts, asked.name)
    accounts[asked.name] = changed = _checked(**{**dict(known), **changes})
    if "admin" in known.roles - changed.roles and "mailboxes" not in changes:
        raise Unfit(
            f"{asked.name!r} has every mailbox as an admin: say which it keeps, by --mailbox or"
            " --every-mailbox"
        )
    return f"account {asked.name}: {_may(accounts[asked.name])}"


def password(accounts: Accounts, asked: Asked) -> str:
    """Another password; every session ends. Raises Unfit."""
    known = _known(accounts, asked.name)
    chosen = None if asked.no_password else _password(asked.name)
    values = {"password": chosen, "since": utcnow()}
    accounts[asked.name] = known.model_copy(update=values)
    left = "has no password now" if chosen is None else "has another password"
    return f"account {asked.name} {left}; its sessions have ended"


def token(accounts: Accounts, asked: Asked) -> str:
    """A new API token, or the end of one. Raises Unfit."""
    known = _known(accounts, asked.name)
    others = tuple(each for each in known.tokens if each.name != asked.token)
    if asked.revoke:
        if others == known.tokens:
            raise Unfit(f"account {asked.name!r} has no token {asked.token!r}")
        accounts[asked.name] = known.model_copy(update={"tokens": others})
        return f"token {asked.token} of {asked.name} is no longer taken"
    if others != known.tokens:
        raise Unfit(f"account {asked.name!r} has a token {asked.token!r}: revoke it first")
    made = new_token()
    tokens = (*others, ApiToken(name=asked.token, sha256=digest(made)))
    accounts[asked.name] = known.model_copy(update={"tokens": tokens})
    return made


def remove(accounts: Accounts, asked: Asked) -> str:
    """The end of an account: its sessions and tokens with it. Raises Unfit."""
    _known(accounts, asked.name)
    del accounts[asked.name]
    return f"account {asked.name} is removed; what it did stays in the audit"


VERBS: dict[str, Callable[[Accounts, Asked], str]] = {
    "add": add,
    "change": change,
    "password": password,
    "token": token,
    "remove": remove,
}


def listed(accounts: Accounts) -> str:
    """The accounts as JSON, without secrets."""
    rows = [
        account.model_dump(mode="json", exclude={"password", "tokens"})
        | {"roles": sorted(account.roles), "password": account.password is not None}
        | {"mailboxes": None if account.mailboxes is None else sorted(account.mailboxes)}
        | {"tokens": [each.name for each in account.tokens]}
        for account in accounts.values()
    ]
    return json.dumps(rows, ensure_ascii=False)


def _checked(**values: object) -> StoredAccount:
    try:
        return StoredAccount.model_validate(values)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]]
        raise Unfit("; ".join(told)) from error


def _known(accounts: Accounts, name: str) -> StoredAccount:
    if name not in accounts:
        raise Unfit(f"there is no account {name!r}; see `sourcier accounts list`")
    return accounts[name]


def _password(name: str) -> str:
    given = sys.stdin.readline().rstrip("\r\n")
    check_password(given, name)
    return hashed(given)


def _may(account: StoredAccount) -> str:
    boxes = "all" if account.mailboxes is None else ", ".join(sorted(account.mailboxes)) or "none"
    return f"roles: {', '.join(sorted(account.roles)) or 'none'}; mailboxes: {boxes}"


def main() -> int:
    """Entry point; exits 1 with words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    for verb in VERBS:
        each = verbs.add_parser(verb)
        each.add_argument("name")
        each.add_argument("--display")
        each.add_argument("--role", action="append")
        each.add_argument("--mailbox", action="append")
        each.add_argument("--every-mailbox", action="store_true")
        each.add_argument("--no-password", action="store_true")
        each.add_argument("--token", default="")
        each.add_argument("--revoke", action="store_true")
    given = vars(parser.parse_args())
    verb = given.pop("verb")
    asked = Asked(**given)
    try:
        if verb == "list":
            sys.stdout.write(f"{listed(read(asked.file))}\n")
            return 0
        with changing(asked.file) as accounts:
            told = VERBS[verb](accounts, asked)
    except (Unfit, Unreadable) as error:
        told = str(error) if isinstance(error, Unfit) else f"{asked.file}: {error}"
        return _failed(told)
    except OSError as error:
        return _failed(f"{asked.file} cannot be written: {error}")
    sys.stdout.write(f"{told}\n")
    return 0


def _failed(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
