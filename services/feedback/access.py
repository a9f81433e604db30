"""Who looks: an account's roles and mailboxes, as every query and route asks for them. Pure."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import JsonValue

from shared.envelope import Frozen

Role = Literal["agent", "curator", "data", "admin"]
"""``agent`` reviews drafts, ``curator`` keeps documents, ``data`` exports datasets, ``admin`` may
all of it and reads the audit."""


class Viewer(Frozen):
    """A signed-in account; ``mailboxes`` None means every one.

    ``pseudonym`` stands for the account in reviews and datasets; ``audiences`` of documents are
    those of its mailboxes.
    """

    account: str
    name: str
    roles: frozenset[Role]
    mailboxes: frozenset[str] | None = None
    audiences: frozenset[str] | None = None
    pseudonym: str

    def may(self, role: Role) -> bool:
        """Whether the account has ``role``; an admin has all."""
        return role in self.roles or "admin" in self.roles

    def sees(self, mailbox: str) -> bool:
        """Whether the account works on ``mailbox``."""
        return self.mailboxes is None or mailbox in self.mailboxes

    def reads(self, audience: str) -> bool:
        """Whether the account may read documents of ``audience``."""
        return self.audiences is None or audience in self.audiences

    @property
    def mailbox_list(self) -> list[str] | None:
        """For SQL: ``$n::text[] is null or mailbox = any($n)``."""
        return None if self.mailboxes is None else sorted(self.mailboxes)

    @property
    def audience_list(self) -> list[str] | None:
        """For SQL, likewise."""
        return None if self.audiences is None else sorted(self.audiences)


SYSTEM = Viewer(account="system", name="Sourcier", roles=frozenset(), pseudonym="system")
"""Who acts when an event does, e.g. a reply that was sent elsewhere; sees everything."""


class Audit(Protocol):
    """Who did what, kept for ever: nothing in it is changed or deleted."""

    async def record(
        self,
        who: Viewer | str,
        action: str,
        object: str = "",
        mailbox: str | None = None,
        **detail: JsonValue,
    ) -> None:
        """Note that ``who`` (a name where nobody is signed in) did ``action`` (``noun.verb``) to
        ``object`` (``draft:<id>``). No text of e-mails or drafts in ``detail``. Raises Unavailable.
        """
