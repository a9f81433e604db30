"""PostgreSQL behind the Protocols of `service.py` and `outbox.py`."""
