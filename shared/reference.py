"""The settings as JSON Schema and as a page for people, both made from the models.

``python -m shared.reference`` writes ``docs/configuration.md``; a test holds it against drift.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from shared.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

Made from the settings models by `python -m shared.reference`; do not edit.

A setting comes from, the first that has it: a variable `SOURCIER_SECTION__NAME`
(`SOURCIER_STREAMS__MAX_BYTES=1073741824`), the file `sourcier.toml` of the working folder or the
one that `SOURCIER_CONFIG` names, its default. A section or a list may be given whole, as JSON, in
one variable (`SOURCIER_MAILBOXES='{"guichet": {"signature": "Le guichet"}}'`). An unknown name in
the file or in a section is an error.

`sourcier config show` tells each value and where it comes from, with secrets left out;
`sourcier config schema` prints the JSON Schema, for editors; `sourcier doctor` says what is wrong.
"""
TAIL = """
## Variables that are no settings

| variable | meaning |
|---|---|
| `SOURCIER_CONFIG` | the settings file; default `sourcier.toml` |
| `SOURCIER_DATA` | the data folder of `sourcier up`, as `--data`; default `.sourcier` |
| `SOURCIER_CACHE` | where fetched models lie; default: `sourcier` in the user's cache folder |
| `SOURCIER_FEEDBACK_URL`, `SOURCIER_INGEST_URL`, … | where the command finds a service's API \
without `sourcier up` |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_…` | where traces go: [operate.md](operate.md) |
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of the settings file, with each field's docstring as its description."""
    made = Settings.model_json_schema()
    for model in models(Settings):
        told = made if model is Settings else made["$defs"][model.__name__]
        if model is not Settings:
            told["description"] = _plain(model.__doc__ or "")
        for name, words in _docstrings(model).items():
            if name in told["properties"]:
                told["properties"][name]["description"] = words
        for name, field in model.model_fields.items():
            if isinstance(field.default, SecretStr):  # of a default nothing is secret
                told["properties"][name]["default"] = field.default.get_secret_value()
    return made


def page() -> str:
    """``docs/configuration.md``."""
    made = schema()
    top: dict[str, Any] = {"properties": {}, "required": []}
    sections: list[tuple[str, dict[str, Any]]] = [("", top)]
    for name, told in made["properties"].items():
        found = list(_sections(made, name, told))
        sections += found
        if not found:
            top["properties"][name] = told
    return HEAD + "".join(_section(made, name, told) for name, told in sections) + TAIL


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """``model`` and those that it is made of."""
    yield model
    for field in model.model_fields.values():
        for each in classes(field.annotation):
            yield from models(each)


def classes(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's annotation names."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from classes(inner)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings that follow fields, those of base classes included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each.__module__.startswith("pydantic"):
            continue
        body = [line for top in ast.parse(inspect.getsource(each)).body for line in _body(top)]
        for field, follows in pairwise(body):
            match field, follows:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[name] = _plain(words)
    return found


def _body(node: ast.stmt) -> list[ast.stmt]:
    return node.body if isinstance(node, ast.ClassDef) else []


def _plain(words: str) -> str:
    return inspect.cleandoc(words).replace("``", "`")


def _sections(
    made: dict[str, Any], path: str, told: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of the file below ``path``; of a mapping, one for any of its names."""
    inner = _model(made, told)
    if inner is None:
        mapped = next(iter(told.get("patternProperties", {}).values()), None)
        mapped = mapped or told.get("additionalProperties") or {}
        inner, path = _model(made, mapped) if isinstance(mapped, dict) else None, f"{path}.NAME"
    if inner is None:
        return
    yield path, inner
    for name, each in inner["properties"].items():
        yield from _sections(made, f"{path}.{name}", each)


def _model(made: dict[str, Any], told: dict[str, Any]) -> dict[str, Any] | None:
    for each in (told, *told.get("anyOf", ())):
        if "$ref" in each:
            found: dict[str, Any] = made["$defs"][each["$ref"].rpartition("/")[2]]
            return found
    return None


def _section(made: dict[str, Any], path: str, told: dict[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_kind(each)} | {_default(each, name in told.get('required', ()))} "
        f"| {_cell(each.get('description', ''))} |"
        for name, each in told["properties"].items()
        if not list(_sections(made, "", each))
    ]
    title = f"\n## [{path}]\n" if path else "\n## Before all sections\n"
    words = f"\n{told['description']}\n" if told.get("description") else ""
    table = "\n| setting | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    return title + words + (table if rows else "")


def _kind(told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return _kind(next(each for each in told["anyOf"] if each.get("type") != "null"))
    if "enum" in told or "const" in told:
        given = told.get("enum") or [told["const"]]
        return ", ".join(f"`{json.dumps(each)}`" for each in given)
    match told:
        case {"format": "password"}:
            return "secret"
        case {"format": "path"}:
            return "path"
        case {"type": "array", "items": dict(items)}:
            return f"list of {_kind(items)}"
        case {"type": "object"}:
            return "table of texts by name"
        case {"type": "boolean"}:
            return "`true`, `false`"
    return {"integer": "whole number", "number": "number"}.get(told.get("type", ""), "text") + (
        _range(told)
    )


def _range(told: dict[str, Any]) -> str:
    limits = (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    )
    found = [f"{sign} {told[name]}" for name, sign in limits if name in told]
    return " " + ", ".join(found) if found else ""


def _default(told: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = told.get("default")
    return "" if value in (None, "", [], {}) else f"`{_cell(json.dumps(value))}`"


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
