"""How often one may ask: counted in memory, by account where there is one, else by address."""

from __future__ import annotations

import ipaddress
import time

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

NAME_PER_HOUR = 30
"""Tries at one account's password, from wherever: a one-time link still lets it in."""


class Limits:
    """Each method counts one try and gives the seconds to wait, 0 when it may go on."""

    def __init__(self, requests_per_minute: int, logins_per_minute: int) -> None:
        self._counter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute)
        self._logins = RateLimitItemPerMinute(logins_per_minute)
        self._name = RateLimitItemPerHour(NAME_PER_HOUR)

    def request(self, who: str) -> int:
        """One request of an account or an address."""
        return self._hit(self._requests, "request", who)

    def login(self, name: str, address: str) -> int:
        """One try to sign in, or one wrong token (without a name)."""
        wait = self._hit(self._logins, "login", address)
        return max(wait, self._hit(self._name, "name", name)) if name else wait

    def signed_in(self, name: str, address: str) -> None:
        """Forget the tries that led to a success."""
        self._counter.clear(self._logins, "login", address)
        self._counter.clear(self._name, "name", name)

    def _hit(self, item: RateLimitItem, *key: str) -> int:
        if self._counter.hit(item, *key):
            return 0
        until = self._counter.get_window_stats(item, *key).reset_time
        return max(1, round(until - time.time()))


def address_of(request: Request) -> str:
    """Who asks, as an IPv4 address or an IPv6 network of /64, which is what one person gets."""
    host = request.client.host if request.client else ""
    try:
        known = ipaddress.ip_address(host)
    except ValueError:
        return host or "?"
    if known.version == 4:
        return host
    return str(ipaddress.ip_network((known, 64), strict=False))
