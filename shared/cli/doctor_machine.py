"""What ``sourcier doctor`` looks at on this machine: settings, packages, disk, files, models."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_settings import TomlConfigSettingsSource

from shared import dkim_keys
from shared.cli.config import PREFIX, path_of_file
from shared.cli.findings import Finding, ok, problem, skipped
from shared.models import directory
from shared.models.local import KNOWN
from shared.models.manifest import name_of
from shared.models.policy import Refused
from shared.settings import MIB, Misconfigured, Settings, model_cache
from shared.topology import SAYS, STREAMS

GIB = 1024 * MIB
LEAST_FREE = 2 * GIB
OTHER_VARIABLES = {
    *("SOURCIER_CONFIG", "SOURCIER_DATA", "SOURCIER_CACHE"),
    *("SOURCIER_TORCH_INDEX", "SOURCIER_ALLOW_CUDA", "SOURCIER_RAY"),
    *(f"SOURCIER_{service.upper()}_URL" for service in SAYS),
}
ALWAYS = ("", "cli")
HASHED = "embedding model"
KEY = "key_file"
PARTS = (*SAYS, "stack", "serve")


def settings() -> tuple[Settings | None, list[Finding]]:
    """The settings, if they can be read, and what is to be said of them."""
    file = path_of_file()
    found = list(_variables())
    if not file.exists() and "SOURCIER_CONFIG" in os.environ:
        found.append(problem("settings", f"{file} does not exist", "correct SOURCIER_CONFIG"))
    try:
        config = Settings()
    except ValidationError as error:
        for each in error.errors(include_input=False):
            name = ".".join(map(str, each["loc"]))
            advice = f"correct it in {file} or its variable; docs/configuration.md lists all"
            found.append(problem("settings", f"{name}: {each['msg']}", advice))
        return None, found
    except (OSError, ValueError) as error:
        return None, [*found, problem("settings", f"{file}: {error}", "mend the file's TOML")]
    found += _contradictions(config)
    if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) and _secret_in(file):
        told = f"{file} holds a secret and others may read it"
        found.append(problem("settings", told, f"chmod 600 {file}, or give it by a variable"))
    if not any(each.state == "problem" for each in found):
        found.append(ok("settings", f"{file}" if file.exists() else "defaults and variables"))
    return config, found


def _variables() -> Iterator[Finding]:
    """Names that nothing reads: a mistyped one is silently ignored elsewhere."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper.startswith("SOURCIER_TEST_"):
            continue
        if upper not in OTHER_VARIABLES and upper.split("__")[0] not in known:
            near = get_close_matches(upper, sorted(_names() | OTHER_VARIABLES), 1)
            advice = f"did you mean {near[0]}?" if near else "see docs/configuration.md"
            yield problem("settings", f"nothing reads the variable {name}", advice)


def _names() -> set[str]:
    """The variables of all settings that are not below a name of one's own."""
    return {
        f"{PREFIX}{section}__{name}".upper()
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name in field.annotation.model_fields
    }


def _contradictions(config: Settings) -> Iterator[Finding]:
    wish = config.generation
    if (wish.endpoint is None) != (wish.model is None) or (
        wish.engine == "openai" and wish.endpoint is None
    ):
        yield problem(
            "settings",
            "[generation] 'endpoint' and 'model' go together, and engine = \"openai\" needs both",
            'give both, or neither with engine = "extractive"',
        )
    unknown = {*config.bridge.incoming, *config.bridge.outgoing} - set(config.mailboxes)
    if unknown:
        told = f"[bridge] names {', '.join(sorted(unknown))}, which [mailboxes] does not"
        yield problem("settings", told, "add the mailbox, or correct the name")


def _secret_in(file: Path) -> bool:
    """Whether a secret stands in the file itself."""

    def within(tree: object) -> bool:
        return isinstance(tree, dict) and any(
            name in ("password", "secret_key", "api_key", "dsn") or within(each)
            for name, each in tree.items()
        )

    return within(TomlConfigSettingsSource(Settings, file)())


def packages() -> Iterator[Finding]:
    """Python, and whether installed packages are of the releases that Sourcier is made for."""
    from packaging.requirements import Requirement

    here = f"Python {platform.python_version()}"
    try:
        wishes, here = requires("sourcier") or [], f"sourcier {version('sourcier')}, {here}"
    except PackageNotFoundError:
        yield skipped("packages", f"{here}; an image, whose packages were checked as it was built")
        return
    if sys.version_info[:2] != (3, 11):
        yield problem("python", here, "make the environment with Python 3.11: make install")
    missing: dict[str, set[str]] = {part: set() for part in (*ALWAYS, *PARTS)}
    for text in wishes:
        wanted = Requirement(text)
        parts = [p for p in missing if not wanted.marker or wanted.marker.evaluate({"extra": p})]
        try:
            have = version(wanted.name)
        except PackageNotFoundError:
            for part in parts:
                missing[part].add(wanted.name)
            continue
        if parts and not wanted.specifier.contains(have, prereleases=True):
            told = f"{wanted.name} {have} is installed, {wanted.specifier} is wanted"
            yield problem("packages", told, "install from requirements/ again: make install")
    for part in ALWAYS:
        if missing[part]:
            told = f"not installed: {', '.join(sorted(missing[part]))}"
            yield problem("packages", told, "make install, or pip install 'sourcier[cli]'")
    whole = [part for part in PARTS if not missing[part]]
    yield ok("packages", f"{here}; what is needed for: {', '.join(whole) or 'the command'}")


def disk(config: Settings, data: Path | None) -> Iterator[Finding]:
    """Room for the stack's data, if it is to be here, and for models."""
    for topic, path in (("data folder", data), ("model cache", model_cache())):
        if path is None:
            continue
        there = next(each for each in (path, *path.parents) if each.exists())
        free = shutil.disk_usage(there).free
        told = f"{path}: {free / GIB:.1f} GiB free"
        if not os.access(there, os.W_OK):
            yield problem(topic, f"{there} cannot be written", "chown it, or choose another folder")
        elif free < LEAST_FREE:
            yield problem(topic, told, f"free at least {LEAST_FREE / GIB:.0f} GiB")
        elif path == data and free * 0.75 < len(STREAMS) * config.streams.max_bytes:
            reserved = len(STREAMS) * config.streams.max_bytes / GIB
            told += (
                f", the streams may take {reserved:.0f} GiB and get three quarters of it at most"
            )
            yield problem(topic, told, "set a smaller streams.max_bytes, or free some")
        else:
            yield ok(topic, told)


def files(config: Settings) -> Iterator[Finding]:
    """Files that settings name: there, readable, and secrets for their owner alone."""
    desk = config.desk
    named = {
        "nats.nkey_seed": config.nats.nkey_seed,
        "desk.operator_token": desk.operator_token,
        "desk.accounts": desk.accounts if "accounts" in desk.model_fields_set else None,
    }
    for box, account in (*config.bridge.incoming.items(), *config.bridge.outgoing.items()):
        named[f"bridge.{box}.token_file"] = account.token_file
    for box, sending in config.bridge.outgoing.items():
        named[f"bridge.{box}.dkim.{KEY}"] = sending.dkim.key_file if sending.dkim else None
    for name, path in named.items():
        if path is None:
            continue
        if name == "desk.accounts" and not os.path.lexists(path) and _reached(path.parent):
            told = f"{path} is not there yet: nobody can sign in to the desk"
            yield problem(name, told, "sourcier accounts add NAME --role agent --mailbox default")
        elif not os.access(path, os.R_OK):
            yield problem(name, f"{path} cannot be read", f"correct {name}, or the file's rights")
        elif path.stat().st_mode & stat.S_IRWXO:
            yield problem(name, f"{path} is open to everybody", f"chmod 600 {path}")
        elif name.endswith(KEY) and (told := _no_key(path)):
            yield problem(name, told, "name another key, or another file")
        else:
            yield ok(name, str(path))


def _no_key(path: Path) -> str:
    try:
        dkim_keys.read(path)
    except Misconfigured as error:
        return str(error)
    return ""


def _reached(folder: Path) -> bool:
    """Whether what is missing in ``folder`` is really missing, not merely out of sight."""
    return os.access(folder, os.X_OK) or not os.path.lexists(folder)


def models(config: Settings, here: bool) -> Iterator[Finding]:
    """The weights on this machine; ``here``: services run on it, so that they are needed.

    The embedder's files are hashed, the far larger ones of a language model are not.
    """
    wanted = [(HASHED, config.embedding.model, here)]
    wanted.append(("serving model", config.serving.model, False))
    for topic, model, needed in wanted:
        yield _model(topic, model, needed)


def _model(topic: str, model: str, needed: bool) -> Finding:
    given = Path(model).expanduser()
    try:
        if given.is_dir():
            directory.check(given)
            return ok(topic, f"{given}: a directory as it may be; it has no hashes to compare")
        target = model_cache() / name_of(model)
        manifest = directory.written(target)
        compare = directory.changed if topic == HASHED else directory.differences
        wrong = compare(target, manifest)
    except FileNotFoundError:
        told = f"{model} is not in {model_cache()}"
        fetch = f"sourcier models {'fetch' if model in KNOWN else 'import'} {model}"
        return (
            problem(topic, told, fetch) if needed else skipped(topic, f"{told} (not needed here)")
        )
    except (Refused, OSError) as error:
        return problem(topic, str(error), f"import it again: sourcier models import {model}")
    if wrong:
        told = f"{model}: damaged: {', '.join(wrong)}"
        return problem(topic, told, f"remove {target} and fetch it again")
    size = manifest.size / 1e9
    how = "every file as its SHA-256 says" if topic == HASHED else "whole by names and sizes"
    return ok(topic, f"{model}, {size:.2f} GB, {how}")
