"""Keeps mails, drafts and reviews; says what agents decided."""
