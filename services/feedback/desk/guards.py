"""Who may call a route: each names one of these, or stands in ``PUBLIC``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from services.feedback.access import Role, Viewer

PUBLIC = frozenset({"/", "/login", "/language", "/v1/openapi.json"})
"""Paths that anyone may ask for."""
PUBLIC_BELOW = ("/static/", "/sources/")
"""Likewise with all below. No cookie is looked at there: what they answer is the same for all."""


class SignInFirst(Exception):
    """Nobody is signed in."""


class NotAllowed(Exception):
    """The account lacks the role; the text is French."""


def is_public(path: str) -> bool:
    """Whether anyone may ask for ``path``."""
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


def allowed(*roles: Role) -> Callable[[Request], Viewer]:
    """A dependency that gives the viewer when it has one of ``roles`` (none: signed in will do).

    Raises SignInFirst or NotAllowed. The middleware has put the viewer into ``request.state``.
    """

    def guard(request: Request) -> Viewer:
        viewer: Viewer | None = getattr(request.state, "viewer", None)
        if viewer is None:
            raise SignInFirst
        if roles and not any(map(viewer.may, roles)):
            raise NotAllowed("Votre compte n'a pas le rôle qu'il faut pour cette page.")
        return viewer

    GUARDS[guard] = roles
    return guard


GUARDS: dict[Callable[[Request], Viewer], tuple[Role, ...]] = {}
"""The roles that each guard asks for: tests find the guards of every route by it."""
SignedIn = Annotated[Viewer, Depends(allowed())]
Agent = Annotated[Viewer, Depends(allowed("agent"))]
Reader = Annotated[Viewer, Depends(allowed("agent", "curator"))]
"""Of documents."""
Looker = Annotated[Viewer, Depends(allowed("agent", "curator", "data"))]
"""At figures."""
Curator = Annotated[Viewer, Depends(allowed("curator"))]
DataScientist = Annotated[Viewer, Depends(allowed("data"))]
Admin = Annotated[Viewer, Depends(allowed("admin"))]
