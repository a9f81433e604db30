"""``sourcier config``: the settings in force and where each comes from; their JSON Schema."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import BaseModel, SecretStr
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource
from rich.console import Console

from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.render import table
from shared.cli.where import Data, configured, data_folder, running_state
from shared.settings import Settings

app = typer.Typer(help="The settings: values, origins, schema.", no_args_is_help=True)
HIDDEN = "(hidden)"
PREFIX = "SOURCIER_"
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_WORD = re.compile(r"(?i)(password|secret|token|key)=[^&\s]*")


@app.command()
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not a default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
) -> None:
    """Show the settings in force and where each comes from: a variable, the file, its default.

    Secrets are left out. While a stack runs in the data folder, it is asked with the variables
    that `sourcier up` gives its operator.

    Example: `sourcier config show --changed`
    """
    given = set(os.environ)
    state = running_state(data_folder(data))
    os.environ.update(state["environment"] if state else {})
    rows = [
        {"name": ".".join(path), "value": shown(value), "source": _named(source, given)}
        for path, value, source in origins(configured(), *_sources())
        if not changed or source != "default"
    ]
    if as_json:
        typer.echo(written(rows))
        return
    console = Console()
    cells = [[r["name"], _text(r["value"]), r["source"]] for r in rows]
    console.print(table("Settings", ["setting", "value", "from"], cells))
    console.print(line(f"file: {path_of_file()}{'' if path_of_file().exists() else ' (none)'}"))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors and checks.

    Example: `sourcier config schema > sourcier.schema.json`
    """
    from shared.reference import schema as made

    typer.echo(written(made(), indent=2))


def path_of_file() -> Path:
    """The settings file, whether it exists or not."""
    return Path(os.environ.get("SOURCIER_CONFIG", "sourcier.toml"))


def origins(
    config: Settings, variables: Mapping[str, Any], file: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Each setting's path, value and origin: a variable's name, ``file`` or ``default``.

    ``variables`` and ``file`` are what the two sources hold, as trees.
    """
    names = {name.upper() for name in os.environ}
    for path, value in _leaves(config, ()):
        if _holds(variables, path):
            # a section's own variable may hold it, as JSON
            wanted = (PREFIX + "__".join(path[:n]).upper() for n in range(len(path), 0, -1))
            yield path, value, next(name for name in wanted if name in names)
        else:
            yield path, value, "file" if _holds(file, path) else "default"


def shown(value: Any) -> Any:
    """``value`` as it may be printed: without secrets, nor those inside an address."""
    match value:
        case SecretStr():
            return _without_password(value.get_secret_value())
        case str():
            return _USERINFO.sub("…@", value)
        case Path():
            return str(value)
        case Mapping():
            return {key: shown(each) for key, each in value.items()}
        case tuple() | list():
            return [shown(each) for each in value]
    return value


def _without_password(secret: str) -> str:
    """Of a connection string all but its password; of anything else that it is set, or not."""
    if not secret:
        return ""
    try:
        parts = urlsplit(secret)
        password = parts.password
    except ValueError:
        return HIDDEN
    if not (parts.scheme and parts.netloc + parts.path) or "://" not in secret:
        return HIDDEN
    user = f"{parts.username}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    bare = parts._replace(netloc=f"{user}{host}", query=_WORD.sub(r"\1=…", parts.query))
    return bare.geturl() + (" (password hidden)" if password else "")


def _leaves(value: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(value).model_fields:
        each = getattr(value, name)
        if isinstance(each, BaseModel):
            yield from _leaves(each, (*path, name))
        elif isinstance(each, dict) and any(isinstance(v, BaseModel) for v in each.values()):
            for key, model in each.items():
                yield from _leaves(model, (*path, name, key))
        else:
            yield (*path, name), each


def _holds(tree: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return False
        tree = tree[name]
    return True


def _sources() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return EnvSettingsSource(Settings)(), TomlConfigSettingsSource(Settings, path_of_file())()


def _named(source: str, given: set[str]) -> str:
    if not source.startswith(PREFIX):
        return str(path_of_file()) if source == "file" else source
    return source if source in {name.upper() for name in given} else "the running stack"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
