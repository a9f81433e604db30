"""Writes the published contract: one JSON Schema per event and request, and AsyncAPI 3.

``python -m shared.contract`` writes ``docs/contract/``; with ``--check`` it names what would
change and exits 1, which is how the tests catch drift.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared import topology
from shared.envelope import Event
from shared.progress import DraftProgress
from shared.queries import EmbedAnswer, EmbedQuery, Query, SearchAnswer, SearchQuery
from shared.registry import CONTRACT

FOLDER = Path("docs/contract")
QUERIES: tuple[tuple[type[Query], type[BaseModel]], ...] = (
    (EmbedQuery, EmbedAnswer),
    (SearchQuery, SearchAnswer),
)


def schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    """JSON Schema of ``model`` as it is on the wire."""
    body = model.model_json_schema(mode="validation")
    identity = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:sourcier:{name.replace('.', ':')}",
    }
    return identity | body


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3 document: a channel per event, who sends and who receives it."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind in CONTRACT:
        channels[kind.nats_prefix()] = _channel(kind)
    for service, kinds in topology.SAYS.items():
        for kind in kinds:
            operations[f"{service}-says-{kind.nats_prefix()}"] = _operation("send", kind)
    for stage in (*topology.STAGES, *topology.BRIDGE_STAGES):
        hears = _operation("receive", stage.event) | {
            "x-durable": stage.durable,
            "x-stream": stage.stream.name,
        }
        operations[f"{stage.durable}-hears-{stage.event.nats_prefix()}"] = hears
    for query, answer in QUERIES:
        channels[query.SUBJECT] = _query_channel(query, answer)
    for service, subjects in topology.ANSWERS.items():
        for subject in subjects:
            channel = {"$ref": f"#/channels/{subject}"}
            operations[f"{service}-answers-{subject}"] = {"action": "receive", "channel": channel}
    channels[DraftProgress.PREFIX] = _progress_channel()
    operations |= _progress_operations()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sourcier",
            "version": "1",
            "description": "CloudEvents 1.0 in structured JSON on NATS JetStream. "
            "Within a version changes are additive.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
    }


def _channel(kind: type[Event]) -> dict[str, Any]:
    name = kind.nats_prefix()
    stream = topology.stream_of(kind).name
    first = name.split(".")[0]
    if first == "message":
        address, what = "dead.{route}", "the stage that gave up"
    else:
        address = f"{name}.{{route}}"
        what = "the collection" if first == "document" else "the mailbox"
    return {
        "address": address,
        "description": f"{(kind.__doc__ or '').strip()} Stream {stream}.",
        "parameters": {"route": {"description": f"Slug [a-z0-9-]+: {what}."}},
        "messages": {name: {"name": kind.TYPE, "payload": {"$ref": f"schemas/{name}.json"}}},
    }


def _query_channel(query: type[Query], answer: type[BaseModel]) -> dict[str, Any]:
    name = query.SUBJECT
    return {
        "address": name,
        "description": f"{(query.__doc__ or '').strip()} Core NATS request and reply.",
        "messages": {
            "request": {"payload": {"$ref": f"schemas/{name}.request.json"}},
            "reply": {"payload": {"$ref": f"schemas/{name}.reply.json"}},
        },
    }


def _progress_channel() -> dict[str, Any]:
    name = DraftProgress.PREFIX
    return {
        "address": f"{name}.{{mailbox}}.{{mail}}",
        "description": f"{(DraftProgress.__doc__ or '').strip()} Core NATS, in no stream.",
        "parameters": {
            "mailbox": {"description": "Slug [a-z0-9-]+: the mailbox."},
            "mail": {"description": "The mail id."},
        },
        "messages": {"progress": {"payload": {"$ref": f"schemas/{name}.json"}}},
    }


def _progress_operations() -> dict[str, Any]:
    tables = (("tells", "send", topology.TELLS), ("follows", "receive", topology.FOLLOWS))
    return {
        f"{service}-{verb}-{prefix}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{prefix}"},
        }
        for verb, action, table in tables
        for service, prefixes in table.items()
        for prefix in prefixes
    }


def _operation(action: str, kind: type[Event]) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{kind.nats_prefix()}"}}


def files() -> dict[str, str]:
    """Path below ``docs/contract`` → content, of every generated file."""
    made = {f"schemas/{k.nats_prefix()}.json": _text(schema(k, k.nats_prefix())) for k in CONTRACT}
    for query, answer in QUERIES:
        for model, part in ((query, "request"), (answer, "reply")):
            name = f"{query.SUBJECT}.{part}"
            made[f"schemas/{name}.json"] = _text(schema(model, name))
    progress = DraftProgress.PREFIX
    made[f"schemas/{progress}.json"] = _text(schema(DraftProgress, progress))
    made["asyncapi.json"] = _text(asyncapi())
    return made


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def drift(folder: Path = FOLDER) -> list[str]:
    """Names of files in ``folder`` that are missing, too many, or not as the models say."""
    wanted = files()
    present = {str(p.relative_to(folder)) for p in folder.rglob("*.json")}
    stale = [
        name
        for name, text in wanted.items()
        if name not in present or (folder / name).read_text() != text
    ]
    return sorted(stale + list(present - set(wanted)))


def main() -> None:
    if "--check" in sys.argv[1:]:
        changed = drift()
        sys.exit(f"run `python -m shared.contract`: {', '.join(changed)}" if changed else 0)
    for name, text in files().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
