"""Reads documents and e-mails and turns them into chunks and questions."""
