"""Who somebody is, for how long, and how they leave: the use case and its Protocols.

The embedded login (accounts file, one-time links) is the first adapter of ``Login``. One for OIDC
returns the provider's address from ``begin`` (state, nonce and PKCE verifier bound to ``browser``)
and reads the callback in ``finish``; its ``Accounts`` give what the last ID token claimed.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import AwareDatetime

from services.feedback.access import Audit, Viewer
from services.feedback.accounts import Account, digest
from shared.envelope import Frozen

LINK_MINUTES = 15
LONGEST_DAYS = 7
"""A session ends after so long even when it is used without a pause."""
RENEW_AFTER = 0.1
"""Share of a session's hours after which a request moves its end: not each writes."""


class Refused(Exception):
    """Nobody is signed in by this; the text is French and does not tell which part was wrong."""


class Login(Protocol):
    """How people prove who they are. ``browser`` is a random value only their browser holds."""

    async def begin(self, back: str, browser: str) -> str | None:
        """Where to send the browser to prove it; None: ask for name and password here."""

    async def finish(self, answer: Mapping[str, str], browser: str) -> Account:
        """Who it is, by the form's or the callback's fields. Raises Refused, Unavailable."""


class Accounts(Protocol):
    """The accounts as they are now: a change takes effect with the next request."""

    async def named(self, name: str) -> Account | None:
        """The account, while it may sign in."""

    async def with_token(self, sha256: str) -> Account | None:
        """The account to which an API token of this hash belongs."""


class Session(Frozen):
    """What is kept of a session, beside the hash of its token."""

    account: str
    csrf: str
    created: AwareDatetime
    expires: AwareDatetime


class Sessions(Protocol):
    """Sessions and one-time links by the hash of their secret. All raise Unavailable."""

    async def put(self, token: str, session: Session) -> None:
        """Keep a new session; those that have ended are forgotten."""

    async def found(self, token: str) -> Session | None:
        """The session, ended or not."""

    async def renew(self, token: str, expires: AwareDatetime) -> None:
        """Move its end."""

    async def end(self, token: str) -> None:
        """Forget it."""

    async def end_all(self, account: str, but: str = "") -> int:
        """Forget those of an account, except one. Returns how many."""

    async def of(self, account: str, now: AwareDatetime) -> Sequence[Session]:
        """Those of an account that have not ended, newest first."""

    async def put_link(self, token: str, account: str, expires: AwareDatetime) -> None:
        """Keep a one-time link."""

    async def use_link(self, token: str, now: AwareDatetime) -> str | None:
        """Its account, the first time and before it expires."""

    async def link(self, token: str, now: AwareDatetime) -> str | None:
        """The same, without using it."""


class SignedIn(Frozen):
    """Who sends a request, by its cookie; ``renewed`` when the cookie is to be sent again."""

    viewer: Viewer
    csrf: str
    renewed: bool = False


class SigningIn:
    """The use cases of the login; ``see`` makes an account a viewer."""

    def __init__(
        self,
        login: Login,
        accounts: Accounts,
        sessions: Sessions,
        audit: Audit,
        see: Callable[[Account], Viewer],
        hours: float,
        clock: Callable[[], datetime],
    ) -> None:
        self.login = login
        self._accounts = accounts
        self._sessions = sessions
        self._audit = audit
        self._see = see
        self.lasts = timedelta(hours=hours)
        self._clock = clock

    async def sign_in(self, answer: Mapping[str, str], browser: str, address: str) -> str:
        """A new session's token; raises Refused. Either way it enters the audit."""
        try:
            account = await self.login.finish(answer, browser)
        except Refused:
            # No unknown name: it may be a password, typed into the wrong field.
            tried = await self._accounts.named(answer.get("name", ""))
            who = tried.name if tried else "?"
            await self._audit.record(who, "login.refused", address=address)
            raise
        now = self._clock()
        token = secrets.token_urlsafe(32)
        session = Session(
            account=account.name,
            csrf=secrets.token_urlsafe(24),
            created=now,
            expires=now + self.lasts,
        )
        await self._sessions.put(digest(token), session)
        how = "link" if "link" in answer else "password"
        await self._audit.record(self._see(account), "login", how=how, address=address)
        return token

    async def by_cookie(self, token: str) -> SignedIn | None:
        """Who has this session, while it lasts and the account may; its end moves with use."""
        key, now = digest(token), self._clock()
        session = await self._sessions.found(key)
        if session is None:
            return None
        account = await self._accounts.named(session.account)
        last = session.created + timedelta(days=LONGEST_DAYS)
        if now >= min(session.expires, last) or account is None or session.created < account.since:
            await self._sessions.end(key)
            return None
        renewed = session.expires - now < self.lasts * (1 - RENEW_AFTER)
        if renewed:
            await self._sessions.renew(key, now + self.lasts)
        return SignedIn(viewer=self._see(account), csrf=session.csrf, renewed=renewed)

    async def by_bearer(self, token: str) -> Viewer | None:
        """Whose API token this is."""
        account = await self._accounts.with_token(digest(token))
        return self._see(account) if account else None

    async def linked(self, link: str) -> str | None:
        """The name of the account that a one-time link opens, while it does."""
        return await self._sessions.link(digest(link), self._clock())

    async def end(self, token: str) -> None:
        """End the session of this token, which another replaces."""
        await self._sessions.end(digest(token))

    async def sign_out(self, viewer: Viewer, token: str) -> None:
        """End the session of this token."""
        await self._sessions.end(digest(token))
        await self._audit.record(viewer, "logout")

    async def sign_out_elsewhere(self, viewer: Viewer, token: str) -> int:
        """End the account's other sessions. Returns how many."""
        ended = await self._sessions.end_all(viewer.account, but=digest(token))
        await self._audit.record(viewer, "logout.elsewhere", sessions=ended)
        return ended

    async def sessions_of(self, viewer: Viewer) -> Sequence[Session]:
        """The account's sessions."""
        return await self._sessions.of(viewer.account, self._clock())

    async def new_link(self, viewer: Viewer, name: str) -> str | None:
        """The token of a one-time link for the account of that name; None when there is none."""
        account = await self._accounts.named(name)
        if account is None:
            return None
        token = secrets.token_urlsafe(32)
        expires = self._clock() + timedelta(minutes=LINK_MINUTES)
        await self._sessions.put_link(digest(token), account.name, expires)
        await self._audit.record(viewer, "link.made", f"account:{account.name}")
        return token


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
