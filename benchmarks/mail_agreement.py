"""How far our reading of hostile messages agrees with the results that other parsers expect.

    python -m benchmarks.mail_agreement [--explain]

Reads ../shared/data/mail: stalwart-mail-parser (a JSON beside each .eml) and mime4j (…_decoded.xml
beside each .msg), and reads cpython-test-email, which comes without results. Compared is what an
answer needs: who writes, to whom, when, under which ids, about what, the text, and the attachments.
White space is folded, addresses are lower-cased, dates are in UTC, ids are without brackets.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.report import report
from services.ingest.html_mail import html_to_text
from services.ingest.mime import Mail, MailLimits, UnreadableMail, read_mail

DATA = Path(__file__).parents[2] / "shared" / "data" / "mail"
LIMITS = MailLimits()
Pair = tuple[str, str, Any, Any]
"""File, field, expected, found."""


def fold(text: str) -> str:
    return " ".join(text.replace("\ufffd", "").split())


def read(path: Path) -> Mail | str:
    try:
        return read_mail(path.read_bytes(), LIMITS)
    except UnreadableMail as refusal:
        return refusal.code


# -- stalwart ----------------------------------------------------------------------------------


def addresses(value: Any) -> list[str]:
    kinds = value.get("Address") if isinstance(value, dict) else None
    if not isinstance(kinds, dict):
        return []
    flat = kinds.get("List") or [
        one for group in kinds.get("Group", []) for one in group["addresses"]
    ]
    return [str(one.get("address") or "").lower() for one in flat if "@" in (one["address"] or "")]


def moment(value: Any) -> datetime | None:
    parts = value.get("DateTime") if isinstance(value, dict) else None
    if not parts:
        return None
    shift = timedelta(hours=parts["tz_hour"], minutes=parts["tz_minute"])
    zone = timezone(-shift if parts["tz_before_gmt"] else shift)
    names = ("year", "month", "day", "hour", "minute", "second")
    try:
        return datetime(*(parts[name] for name in names), tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def texts(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    found = value.get("Text", value.get("TextList", []))
    return [found] if isinstance(found, str) else list(found or [])


def body(part: dict[str, Any]) -> str:
    content = part["body"]
    return next((content[kind] for kind in ("Text", "Html") if kind in content), "")


def stalwart(path: Path, mail: Mail) -> Iterator[Pair]:
    expected = json.loads(path.with_suffix(".json").read_text())
    root = expected["parts"][0]
    fields: dict[str, Any] = {}
    for header in root["headers"]:
        name = header["name"]
        fields[name if isinstance(name, str) else str(next(iter(name.values()))).lower()] = header[
            "value"
        ]
    people = {"from": [mail.sender], "reply_to": mail.reply_to, "to": mail.recipients}
    for name, found in people.items():
        wanted = addresses(fields.get(name)) + (addresses(fields.get("cc")) if name == "to" else [])
        wanted = wanted[:1] if name == "from" else list(dict.fromkeys(wanted))
        if name in fields and wanted:
            yield path.name, name, wanted, [one.address for one in found]
    if "date" in fields:
        yield path.name, "date", moment(fields["date"]), mail.date
    if "subject" in fields:
        yield path.name, "subject", fold(" ".join(texts(fields["subject"]))), fold(mail.subject)
    for name, found_ids in (("message_id", mail.message_id), ("in_reply_to", mail.in_reply_to)):
        wanted = texts(fields.get(name))[:1]
        if wanted:
            yield path.name, name, wanted[0], found_ids.strip("<>")
    plain = [expected["parts"][number] for number in expected["text_body"]]
    wanted_text = fold(" ".join(body(part) for part in plain if "Text" in part["body"]))
    if wanted_text:
        yield path.name, "text", wanted_text, fold(mail.text)
    # We show a text that has no name; others list it as an attachment too.
    listed = [expected["parts"][number] for number in expected["attachments"]]
    named = [part for part in listed if "Text" not in part["body"] and "Html" not in part["body"]]
    yield path.name, "attachments", True, len(named) <= len(mail.attachments) <= len(listed)


# -- mime4j ------------------------------------------------------------------------------------


def mime4j(path: Path, mail: Mail) -> Iterator[Pair]:
    tree = path.with_name(f"{path.stem}_decoded.xml")
    if not tree.exists():
        return
    root = ElementTree.fromstring(tree.read_bytes())  # noqa: S314 - the project's own test data
    wanted = [field.text or "" for field in root.findall("header/field")]
    for raw in wanted:
        name, _, value = raw.strip("\n").partition(":")
        if name.strip().lower() == "subject" and "=?" not in value and value.isascii():
            yield path.name, "subject", fold(value), fold(mail.subject)
        if name.strip().lower() == "from" and value.count("@") == 1 and "(" not in value:
            match = re.search(r"[^\s<>,;\"]+@[^\s<>,;\"]+", value)
            yield path.name, "from", [match.group().lower() if match else ""], [mail.sender.address]
    whole = fold(mail.text) + "".join(
        fold(part.data.decode("latin-1")) for part in mail.attachments
    )
    squeezed = re.sub(r"\W", "", whole)
    for element in root.iter():
        if element.tag not in {"text-body", "binary-body"} or "name" not in element.attrib:
            continue
        part = path.with_name(element.attrib["name"])
        if part.exists():
            data = part.read_bytes()
            raws = [data.decode(name, "replace") for name in ("utf-8", "cp1252", "latin-1")]
            # HTML and enriched text are read as what they show.
            raws += [html_to_text(raw) for raw in raws if "<" in raw]
            known = {re.sub(r"\W", "", raw) for raw in raws}
            yield path.name, f"{element.tag} read", True, any(one in squeezed for one in known)


def pairs() -> Iterator[tuple[str, Path, Iterator[Pair] | str]]:
    sets = (
        ("stalwart", "stalwart-mail-parser", "*.eml", stalwart),
        ("mime4j", "mime4j", "*.msg", mime4j),
        ("cpython", "cpython-test-email", "*.txt", None),
    )
    for name, folder, pattern, compare in sets:
        for path in sorted((DATA / folder).rglob(pattern)):
            mail = read(path)
            if isinstance(mail, str):
                yield name, path, mail
            else:
                yield name, path, compare(path, mail) if compare else iter(())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--explain", action="store_true", help="print each disagreement")
    explain = arguments.parse_args().explain
    agreed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    files: Counter[str] = Counter()
    refused: dict[str, list[str]] = {}
    for name, path, compared in pairs():
        files[name] += 1
        if isinstance(compared, str):
            refused.setdefault(name, []).append(f"{path.name}: {compared}")
            continue
        for file, field, wanted, found in compared:
            total[f"{name} {field}"] += 1
            agreed[f"{name} {field}"] += wanted == found
            if explain and wanted != found:
                place = f"{path.parent.name}/{file}"
                print(f"{name} {place} {field}\n  - {str(wanted)[:300]}\n  + {str(found)[:300]}")
    figures: dict[str, object] = {f"{name} messages": count for name, count in files.items()}
    figures |= {f"{name} refused": ", ".join(some) for name, some in refused.items()}
    figures |= {field: f"{agreed[field]} of {count}" for field, count in total.items()}
    report("mail agreement", figures, {})


if __name__ == "__main__":
    main()
