"""What the desk's pages work with; ``app.py`` builds it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from services.feedback.library import Library
from services.feedback.reading_documents import DocumentReading
from services.feedback.service import FeedbackService
from shared.settings import Settings


@dataclass(kw_only=True)
class Desk:
    """The use cases behind the pages; each page's helper adds its own."""

    config: Settings
    feedback: FeedbackService
    library: Library
    reading: DocumentReading


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers ``request``."""
    return cast(Desk, request.app.state.desk)
