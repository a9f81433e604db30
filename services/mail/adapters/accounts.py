"""What all accounts share: TLS that verifies, tokens read at each login."""

from __future__ import annotations

import ssl
from pathlib import Path

from shared.bridge import Account
from shared.delivery import Unavailable


def tls(account: Account) -> ssl.SSLContext:
    """Verifies name and chain, with the system's authorities or ``ca_file``. Raises Unavailable."""
    try:
        return ssl.create_default_context(cafile=account.ca_file)
    except OSError as error:
        raise Unavailable(f"ca_file {account.ca_file} cannot be used: {error}") from error


def token(path: Path) -> str:
    """The OAuth2 access token of the moment. Raises Unavailable."""
    try:
        found = path.read_text().strip()
    except OSError as error:
        raise Unavailable(f"token_file {path} cannot be read: {error.strerror}") from error
    if not found:
        raise Unavailable(f"token_file {path} is empty: does the program that fills it run?")
    return found
