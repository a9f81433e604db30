"""What ``sourcier doctor`` finds: one line each, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from shared.cli.plain import line

State = Literal["ok", "problem", "skipped"]
STYLES: dict[State, str] = {"ok": "green", "problem": "bold red", "skipped": "dim"}
CLOCKS_APART = 2.0
"""Seconds between two clocks from which retries, sessions and figures go wrong."""


@dataclass(frozen=True)
class Finding:
    """``told``: how it is; ``advice``: what to do, of a problem."""

    topic: str
    state: State
    told: str
    advice: str = ""


def ok(topic: str, told: str) -> Finding:
    """All is well."""
    return Finding(topic, "ok", told)


def problem(topic: str, told: str, advice: str) -> Finding:
    """Something that a person must mend."""
    return Finding(topic, "problem", told, advice)


def skipped(topic: str, why: str) -> Finding:
    """What could not, or need not, be looked at from here."""
    return Finding(topic, "skipped", why)


def clock(topic: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """A server's clock, told between two looks at ours; whole seconds are enough."""
    if before <= theirs <= after:
        return ok(topic, "as ours")
    apart = (
        (theirs - after).total_seconds() if theirs > after else (theirs - before).total_seconds()
    )
    if abs(apart) <= CLOCKS_APART:
        return ok(topic, f"{apart:+.1f} s from ours")
    return problem(
        topic,
        f"{apart:+.1f} s from ours",
        "let both machines follow a time server (chrony, systemd-timesyncd)",
    )


def as_data(findings: Iterable[Finding]) -> dict[str, Any]:
    """For ``--json``."""
    rows = [asdict(finding) for finding in findings]
    return {"ok": all(row["state"] != "problem" for row in rows), "findings": rows}


def show(finding: Finding, console: Console) -> None:
    """A line; the state is a word, so that nothing hangs on colours."""
    state = Text(f"{finding.state:<8} ", style=STYLES[finding.state])
    topic = Text(f"{finding.topic}: ", style="bold" if finding.state == "problem" else "")
    console.print(state + topic + line(finding.told), soft_wrap=True)
    if finding.advice:
        console.print(Text("         → ") + line(finding.advice), soft_wrap=True)
