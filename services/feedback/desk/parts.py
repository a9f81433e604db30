"""What the desk's pages work with; ``app.py`` builds it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from services.feedback.access import Audit
from services.feedback.answering import Answering
from services.feedback.auditing import AuditLog
from services.feedback.desk.cookies import Cookies, is_secure
from services.feedback.desk.limiting import Limits
from services.feedback.desk.progress import Progress
from services.feedback.editing import Editing
from services.feedback.figuring import Figuring
from services.feedback.following import Live
from services.feedback.library import Library
from services.feedback.queueing import Queue
from services.feedback.reading_documents import DocumentReading
from services.feedback.reading_mails import MailReading
from services.feedback.service import FeedbackService
from services.feedback.signing_in import SigningIn
from services.feedback.training.versions import Datasets
from shared.settings import Settings


@dataclass(kw_only=True)
class Desk:
    """The use cases behind the pages."""

    config: Settings
    signing: SigningIn
    audit: Audit
    audit_log: AuditLog
    feedback: FeedbackService
    queue: Queue
    live: Live
    library: Library
    reading: DocumentReading
    figures: Figuring
    editing: Editing
    datasets: Datasets
    answering: Answering
    mails: MailReading
    progress: Progress

    def __post_init__(self) -> None:
        limits = self.config.desk
        self.cookies = Cookies(is_secure(self.config), int(limits.session_hours * 3600))
        self.limits = Limits(limits.requests_per_minute, limits.logins_per_minute)


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers ``request``."""
    return cast(Desk, request.app.state.desk)
