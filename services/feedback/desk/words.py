"""Words of the interface: French in the code, English in ``locale/*.en.toml``; dates and ages."""

from __future__ import annotations

import tomllib
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.feedback.errors import Moment, Term, Told
from shared.settings import Misconfigured

LOCALE = Path(__file__).with_name("locale")
LANG: ContextVar[str] = ContextVar("lang", default="fr")
ZONE: ContextVar[ZoneInfo | None] = ContextVar("zone", default=None)
_MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
}


@cache
def english() -> dict[str, str]:
    """English by French, of all pages."""
    found: dict[str, str] = {}
    for path in sorted(LOCALE.glob("*.en.toml")):
        found |= tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def say(text: str, **values: object) -> str:
    """``text`` in the reader's language, ``{name}`` filled; templates call it ``_``."""
    told = english().get(text, text) if LANG.get() == "en" else text
    return told.format(**values) if values else told


def told(error: Exception) -> str:
    """What a refusal says, in the reader's language."""
    if not isinstance(error, Told):
        return say(str(error))
    return say(error.text, **{name: _value(value) for name, value in error.values.items()})


def _value(value: object) -> object:
    if isinstance(value, Moment):
        return when(value.at)
    return say(value) if isinstance(value, Term) else value


def marked(text: str) -> str:
    """``text`` as it is: marks words kept in tables, that ``_`` translates when they are shown."""
    return text


def many(one: str, more: str, n: int, **values: object) -> str:
    """``one`` or ``more`` with ``{n}``, by each language's rule; templates call it ``_n``."""
    single = n == 1 or (n == 0 and LANG.get() == "fr")
    return say(one if single else more, n=number(n), **values)


def number(value: float, digits: int = 0) -> str:
    """1 234,5 in French, 1,234.5 in English."""
    told = f"{value:,.{digits}f}"
    if LANG.get() == "fr":
        told = told.replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ",")
    return told


def zone(name: str) -> ZoneInfo:
    """The time zone in which dates are shown; raises Misconfigured."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Misconfigured(
            f"desk.timezone: no time zone {name!r} on this machine; use a name such as "
            "Europe/Paris, and install the system's tzdata if it has none"
        ) from error


def when(moment: datetime | None, time: bool = True) -> str:
    """« le 3 novembre 2026 à 10:12 »; « – » for None."""
    if moment is None:
        return "–"
    local = moment.astimezone(ZONE.get())
    lang = LANG.get()
    month = _MONTHS[lang].split()[local.month - 1]
    if lang == "en":
        return f"{local.day} {month} {local.year}" + (f" at {local:%H:%M}" if time else "")
    day = "1er" if local.day == 1 else str(local.day)
    return f"le {day} {month} {local.year}" + (f" à {local:%H:%M}" if time else "")


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """« il y a 3 minutes », of what lies behind or just before."""
    if moment is None:
        return "–"
    minutes = int(((now or datetime.now(UTC)) - moment).total_seconds() // 60)
    if minutes < 1:
        return say("à l'instant")
    if minutes < 60:
        return many("il y a {n} minute", "il y a {n} minutes", minutes)
    if minutes < 24 * 60:
        return many("il y a {n} heure", "il y a {n} heures", minutes // 60)
    days = minutes // (24 * 60)
    if days < 60:
        return many("il y a {n} jour", "il y a {n} jours", days)
    return say("il y a {n} mois", n=days // 30)
