"""Puts the embedded login together."""

from __future__ import annotations

from services.feedback.access import Audit, Viewer
from services.feedback.accounts import Account, viewer_of
from services.feedback.adapters.accounts_file import AccountsFile, FileLogin
from services.feedback.adapters.sessions import PostgresSessions
from services.feedback.signing_in import SigningIn
from shared.clock import utcnow
from shared.postgres import Pool
from shared.settings import Settings


def embedded(config: Settings, pool: Pool, audit: Audit) -> SigningIn:
    """The login by accounts file and one-time links. Raises Misconfigured."""
    accounts = AccountsFile(config.desk.accounts, config.desk.operator_token)
    sessions = PostgresSessions(pool)
    audiences = {name: box.audiences for name, box in config.mailboxes.items()}

    def see(account: Account) -> Viewer:
        return viewer_of(account, audiences)

    login = FileLogin(accounts, sessions)
    return SigningIn(login, accounts, sessions, audit, see, config.desk.session_hours, utcnow)
