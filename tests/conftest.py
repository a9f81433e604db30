"""Fixtures of all tests; real servers are in ``tests/fixtures``."""

pytest_plugins = ["tests.fixtures.plugin"]
