"""Calendar invitations (RFC 5545): what, when and where, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

MAX_CHARS = 100_000
MAX_FIELD = 300
_FOLD = re.compile(r"\r?\n[ \t]")
_PROPERTY = re.compile(r"^([A-Z-]{1,40})((?:;[^:\"]{0,200}(?:\"[^\"]{0,200}\")?){0,8}):(.*)$", re.I)
_ESCAPE = re.compile(r"\\([nN,;\\])")
_ZONE = re.compile(r"TZID=\"?([^;\":]{1,60})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Invitation:
    """The first event of a calendar. `method` in capitals, `when` readable, "" where it is not."""

    method: str
    summary: str
    when: str
    where: str
    description: str

    def told(self) -> str:
        """The invitation in a few lines of French."""
        lines = (
            ("Invitation", self.summary),
            ("Quand", self.when),
            ("Lieu", self.where),
        )
        return "\n".join(f"{label} : {value}" for label, value in lines if value)


def invitation(text: str) -> Invitation | None:
    """The first event in the calendar `text`, or None."""
    method, inside = "", False
    fields: dict[str, tuple[str, str]] = {}
    for line in _FOLD.sub("", text[:MAX_CHARS]).splitlines():
        match = _PROPERTY.match(line)
        if match is None:
            continue
        name, parameters, value = match[1].upper(), match[2], match[3].strip()
        if name in {"BEGIN", "END"}:
            if inside and name == "END" and value.upper() == "VEVENT":
                break
            # An alarm within the event has a description of its own.
            inside = (name == "BEGIN" and value.upper() == "VEVENT") or (
                name == "END" and value.upper() == "VALARM"
            )
        elif name == "METHOD":
            method = value.upper()
        elif inside:
            fields.setdefault(name, (parameters, value))
    if not fields:
        return None
    return Invitation(
        method,
        _plain(fields, "SUMMARY"),
        _period(fields.get("DTSTART"), fields.get("DTEND")),
        _plain(fields, "LOCATION"),
        _plain(fields, "DESCRIPTION", 10 * MAX_FIELD),
    )


def _plain(fields: dict[str, tuple[str, str]], name: str, limit: int = MAX_FIELD) -> str:
    value = fields.get(name, ("", ""))[1]
    return _ESCAPE.sub(lambda m: "\n" if m[1] in "nN" else m[1], value)[:limit].strip()


def _period(start: tuple[str, str] | None, end: tuple[str, str] | None) -> str:
    first = _moment(start)
    if not first or start is None:
        return ""
    last = _moment(end)
    if last[:10] == first[:10]:
        last = last[11:]
    zone = "UTC" if start[1].endswith("Z") else (_ZONE.search(start[0]) or ["", ""])[1]
    return first + (f" – {last}" if last else "") + (f" ({zone})" if zone else "")


def _moment(value: tuple[str, str] | None) -> str:
    text = value[1].rstrip("Z") if value else ""
    for form, shown in (("%Y%m%dT%H%M%S", "%d/%m/%Y %H:%M"), ("%Y%m%d", "%d/%m/%Y")):
        try:
            return datetime.strptime(text, form).strftime(shown)
        except ValueError:
            continue
    return ""
