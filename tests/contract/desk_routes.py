"""The route table of feedback as requests: every route and method, filled in from its signature."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel

from services.feedback.access import Role
from services.feedback.desk.guards import GUARDS, is_public

SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Probe:
    """One request to one route. ``ids`` are the names in its path that mean an object; ``query``
    fills in what it may be asked, ``needed`` what it must."""

    method: str
    template: str
    roles: tuple[Role, ...] | None
    path: str
    ids: tuple[str, ...]
    query: dict[str, str] = field(default_factory=dict)
    needed: dict[str, str] = field(default_factory=dict)
    json: Any = None
    form: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def public(self) -> bool:
        return is_public(self.template)

    @property
    def changes(self) -> bool:
        return self.method not in SAFE

    def options(self) -> dict[str, Any]:
        """For httpx."""
        found: dict[str, Any] = {"params": self.query}
        if self.json is not None:
            return found | {"json": self.json}
        return found | ({"data": self.form or {}} if self.changes else {})


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """The routes that were written here."""
    return (route for route in app.routes if isinstance(route, APIRoute))


def guard_of(dependant: Dependant) -> tuple[Role, ...] | None:
    """The roles of the guard that a route names, any of which will do; None without a guard."""
    for each in dependant.dependencies:
        if each.call in GUARDS:
            return GUARDS[each.call]
    return None


def probes(app: FastAPI, known: Mapping[str, str]) -> list[Probe]:
    """A request for each route and method; ``known`` gives values by the name of a parameter."""
    found = []
    for route in routes_of(app):
        names = [p.name for p in route.dependant.path_params]
        values = {name: known.get(name, "x") for name in names}
        path = route.path
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
        asked = route.dependant.query_params
        needed = {p.name: known.get(p.name, "x") for p in asked if p.field_info.is_required()}
        query = needed | {p.name: known[p.name] for p in asked if p.name in known}
        json, form = _body(route, known)
        for method in sorted(route.methods):
            found.append(
                Probe(
                    method=method,
                    template=route.path,
                    roles=guard_of(route.dependant),
                    path=path,
                    ids=tuple(n for n in names if n.endswith("_id") or n == "version"),
                    query=query,
                    needed=needed,
                    json=json if method not in SAFE else None,
                    form=form if method not in SAFE else None,
                )
            )
    return found


def _body(route: APIRoute, known: Mapping[str, str]) -> tuple[Any, dict[str, Any] | None]:
    params = route.dependant.body_params
    if not params:
        return None, None
    values = {p.name: _sample(p.field_info.annotation, p.name, known) for p in params}
    if len(params) == 1 and isinstance(values[params[0].name], dict):
        values = values[params[0].name]
    if isinstance(params[0].field_info, Form):
        return None, {k: v for k, v in values.items() if v is not None}
    return values, None


def _sample(kind: Any, name: str, known: Mapping[str, str]) -> Any:
    """A value of a type that validates; by name where one is known."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _sample(get_args(kind)[0], name, known)
    if origin is Literal:
        return get_args(kind)[0]
    if origin in (Union, types.UnionType):
        if name in known:
            return known[name]
        return None if type(None) in get_args(kind) else _sample(get_args(kind)[0], name, known)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields
        return {
            n: _sample(f.annotation, n, known)
            for n, f in fields.items()
            if f.is_required() or n in known
        }
    if origin in (list, tuple, set, frozenset):
        return [_sample(get_args(kind)[0], name, known)]
    if name in known:
        return known[name]
    return {int: 1, float: 1.0, bool: True, UUID: known["draft_id"]}.get(kind, "x")
