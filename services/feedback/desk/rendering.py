"""Templates to pages: ``render`` gives each template its words, its viewer and its functions.

Macros read the language from a context variable, so they are imported without context.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.feedback.desk import words
from services.feedback.desk.heard import heard
from services.feedback.desk.parts import desk_of

HERE = Path(__file__).parent
STATIC = HERE / "static"


def url(path: str, query: Mapping[str, object] | None = None, **changes: object) -> str:
    """``path`` with ``query`` and ``changes`` as its query string; None and "" leave a name out."""
    kept = {k: v for k, v in {**(query or {}), **changes}.items() if v not in (None, "", False)}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


@cache
def static(name: str) -> str:
    """The address of a file in ``static/``, changed by its content, so that it may be cached."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """The templates, autoescaped; a name that no value has is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        _=words.say,
        _n=words.many,
        number=words.number,
        when=words.when,
        ago=words.ago,
        heard=heard,
        url=url,
        static=static,
    )
    made.filters["number"] = words.number
    return made


def render(request: Request, template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """``template`` with ``values``, in the viewer's language.

    Templates also have ``viewer`` (None: nobody signed in), ``lang``, ``csrf``, ``here`` (path and
    query of this page), and the functions of this module and of ``words``.
    """
    state = request.state
    lang = getattr(state, "lang", "fr")
    words.LANG.set(lang)
    words.ZONE.set(words.zone(desk_of(request).config.desk.timezone))
    query = f"?{request.url.query}" if request.url.query else ""
    page = environment().get_template(template)
    return HTMLResponse(
        page.render(
            viewer=getattr(state, "viewer", None),
            lang=lang,
            csrf=getattr(state, "csrf", ""),
            here=request.url.path + query,
            path=request.url.path,
            **values,
        ),
        status_code=status_code,
        headers={"Cache-Control": "no-store", "Content-Language": lang, "Vary": "HX-Request"},
    )
