"""The prompts in ``prompts/``, rendered with Jinja and known by their hash."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from typing import Literal

from jinja2 import DictLoader, Environment, StrictUndefined

from services.generate import prompting
from services.generate.answer import Form, Language
from services.generate.prompting import Layout
from shared.identity import short_hash
from shared.records import Message

LANGUAGES: tuple[Language, ...] = ("fr", "en")
Role = Literal["system", "user", "assistant"]
_TURNS: tuple[tuple[str, Role], ...] = (
    ("system", "system"),
    ("example", "user"),
    ("reply", "assistant"),
    ("user", "user"),
)
_SHARED = ("rules", "style", "passages", "mail")


class PromptFiles:
    """Renders messages in one form; ``fingerprint`` changes with any change of its files."""

    def __init__(self, form: Form = "parts", *, examples: bool = False) -> None:
        names = (form,) if form == "select" else (*_SHARED, form)
        folder = files("services.generate") / "prompts"
        sources = {
            f"{language}/{name}.j2": (folder / language / f"{name}.j2").read_text(encoding="utf-8")
            for language in LANGUAGES
            for name in names
        }
        # No HTML escaping: the text goes to a model; ``prompting.data`` keeps data in its section.
        environment = Environment(
            loader=DictLoader(sources),
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,  # an included file ends its own last line
            autoescape=False,  # noqa: S701 - no HTML is made here
        )
        self.form = form
        self._examples = examples
        self._templates = {
            language: environment.get_template(f"{language}/{form}.j2") for language in LANGUAGES
        }
        self.fingerprint = f"{form}-{short_hash(*sources.values(), str(examples))}"

    def messages(self, layout: Layout) -> tuple[Message, ...]:
        """The system message, the worked example if any, the user's: stable text first."""
        prompt = prompting.prompt(layout)
        template = self._templates[prompt.language]
        context = template.new_context(asdict(prompt))
        return tuple(
            Message(role=role, content="".join(template.blocks[block](context)).strip())
            for block, role in _TURNS
            if self._examples or block not in ("example", "reply")
        )
