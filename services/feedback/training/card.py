"""What tells of a version: its manifest, and its card for people and for `load_dataset`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.feedback.training.exporting import Plan, Tally
from services.feedback.training.pairs import KINDS
from services.feedback.training.splitting import SPLITS

REASONS = {
    "same-body": "what was sent and what the model wrote differ in nothing, or only in greeting,"
    " closing and signature",
    "extractive": "the draft quotes passages, no model wrote it (`--include-extractive` takes it)",
    "declined": "the model declined to draft",
    "rejected-alone": "rejected, and no text was sent yet that would show what was wanted",
    "empty-body": "nothing is left without greeting and closing, or the sent text is not known",
    "no-citation-edit": "the agent left the citations as they were",
    "no-counterpart": "passages were called wrong or added, and none stands against them",
}
_KINDS = {
    "dpo": "preference pairs: `prompt`, `chosen` (what the agent sent), `rejected` (what the model"
    " wrote), as message lists for TRL's `DPOTrainer`",
    "sft": "approved replies: `prompt`, `completion`, for TRL's `SFTTrainer`",
    "retrieval": "triplets: `anchor` (a question), `positive` (a passage that an agent kept or"
    " added), `negative` (one that was dropped or called wrong), for sentence-transformers",
}


def manifest(
    version: int,
    created: datetime,
    plan: Plan,
    tally: Tally,
    files: Sequence[Mapping[str, Any]],
    mailboxes: Sequence[str] | None,
    parent: Mapping[str, Any] | None,
    software: str,
) -> dict[str, Any]:
    """All that is known of a version, as JSON; no original of what was replaced."""
    kinds = [kind for kind in KINDS if kind in plan.wish.kinds]
    return {
        "name": f"v{version}",
        "version": version,
        "created": created.isoformat(),
        "software": software,
        "parent": {"version": parent["version"]} if parent else None,
        "configuration": {
            "kinds": kinds,
            "include_extractive": plan.wish.include_extractive,
            "mailboxes": list(mailboxes) if mailboxes is not None else None,
            "seed": plan.seed,
            "validation": plan.validation,
            "test": plan.test,
            "pseudonyms": plan.pseudonyms,
        },
        "mails": tally.mails,
        "rows": {kind: {s: tally.rows[kind, s] for s in SPLITS} for kind in kinds},
        "changes": {kind: _changes(kind, tally, parent) for kind in kinds},
        "excluded": {
            kind: {reason: n for (k, reason), n in sorted(tally.excluded.items()) if k == kind}
            for kind in kinds
        },
        "replaced": {
            "rows": tally.touched,
            "strings": dict(sorted(tally.replaced.items())),
        },
        "files": list(files),
    }


def _changes(kind: str, tally: Tally, parent: Mapping[str, Any] | None) -> dict[str, int]:
    found = {c: tally.changes[kind, c] for c in ("added", "changed", "unchanged")}  # type: ignore[index]  # one of KINDS
    before = sum(((parent or {}).get("rows", {}).get(kind) or {}).values())
    return {**found, "removed": before - found["changed"] - found["unchanged"]}


def card(made: Mapping[str, Any]) -> str:
    """README.md of a version; its head tells `datasets.load_dataset` which files are which."""
    kinds = list(made["rows"])
    loadable = [kind for kind in kinds if any(made["rows"][kind].values())]
    counts = [
        f"| {kind} | {' | '.join(str(made['rows'][kind][s]) for s in SPLITS)} |" for kind in kinds
    ]
    left = [
        f"- {kind}, {n}: {REASONS[reason]} (`{reason}`)"
        for kind in kinds
        for reason, n in made["excluded"][kind].items()
    ]
    replaced = [f"- {entity}: {n}" for entity, n in made["replaced"]["strings"].items()]
    return _TEXT.format(
        configs="\n".join(
            _config(kind, made["rows"][kind], kind == loadable[0]) for kind in loadable
        ),
        name=made["name"],
        created=made["created"][:10],
        mails=made["mails"],
        parent=_parent(made["parent"]),
        first=loadable[0],
        kinds="\n".join(f"- `{kind}`: {_KINDS[kind]}." for kind in kinds),
        counts="\n".join(counts),
        left="\n".join(left) or "- none",
        rows=made["replaced"]["rows"],
        replaced="\n".join(replaced) or "- nothing",
        seed=made["configuration"]["seed"],
    )


def _config(kind: str, rows: Mapping[str, int], first: bool) -> str:
    """Only sides that have rows: of an empty one `load_dataset` makes an error."""
    files = [f"  - split: {s}\n    path: {kind}/{s}.parquet" for s in SPLITS if rows[s]]
    default = ["  default: true"] if first else []
    return "\n".join([f"- config_name: {kind}", *default, "  data_files:", *files])


def _parent(parent: Mapping[str, Any] | None) -> str:
    if parent is None:
        return "It is the first of its kind."
    return f"It follows v{parent['version']}: rows that did not change keep ids and sides."


_TEXT = """---
pretty_name: Sourcier {name}
language: [fr, en]
license: other
license_name: internal
tags: [preference, dpo, retrieval, administration]
configs:
{configs}
---

# Sourcier {name}

What agents made of drafts, from {mails} e-mails on which they decided, as of {created}. {parent}

{kinds}

```python
from datasets import load_dataset
rows = load_dataset("path/of/this/folder", "{first}")
```

| rows | train | validation | test |
|---|---|---|---|
{counts}

The side of a row is a hash of its thread and the seed `{seed}`: it never changes, and no thread
is on two sides. Both sides of a pair are bodies without greeting, closing and signature, as prose
whose [n] are the numbers of the prompt's passages; prompts ask for that form. The JSON lines hold
the same rows as the Parquet files; `raw_output` is what the model wrote before anything was done
to it.

## Left out

{left}

`excluded.jsonl` lists them by draft.

## Personal data

Replaced in {rows} rows, alike within a row (`PERSONNE_1` is one person there, another elsewhere):

{replaced}

Names, addresses, telephone numbers, e-mail addresses, IBAN, social security numbers and dates of
birth, as recognised by Presidio with French rules; recognition is not perfect, so treat the rows as
personal data all the same. What public documents say is left as it is.
"""
