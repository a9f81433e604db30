"""Keeps the passages in an index and finds those that answer the questions of an e-mail."""
