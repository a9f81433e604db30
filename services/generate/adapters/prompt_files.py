"""The prompts in ``prompts/``, rendered with Jinja and known by their hash."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files

from jinja2 import BaseLoader, Environment, StrictUndefined, Template

from services.generate import prompting
from services.generate.answer import DraftRequest, Language
from shared.identity import short_hash
from shared.records import Message

LANGUAGES: tuple[Language, ...] = ("fr", "en")


class PromptFiles:
    """Renders messages; ``fingerprint`` changes with any change of a prompt file."""

    def __init__(self) -> None:
        folder = files("services.generate") / "prompts"
        sources = {
            language: (folder / f"{language}.j2").read_text(encoding="utf-8")
            for language in LANGUAGES
        }
        # No HTML escaping: the text goes to a model; ``prompting.data`` keeps data in its section.
        environment = Environment(
            loader=BaseLoader(),
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=False,
            autoescape=False,  # noqa: S701 - no HTML is made here
        )
        self._templates: dict[Language, Template] = {
            language: environment.from_string(source) for language, source in sources.items()
        }
        self.fingerprint = short_hash(*(sources[language] for language in LANGUAGES))

    def messages(self, request: DraftRequest) -> tuple[Message, ...]:
        """The system and the user message, stable text first."""
        prompt = prompting.prompt(request)
        values = asdict(prompt)
        template = self._templates[prompt.language]
        system, user = (
            "".join(template.blocks[block](template.new_context(values))).strip()
            for block in ("system", "user")
        )
        return (Message(role="system", content=system), Message(role="user", content=user))
