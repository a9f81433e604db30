"""The real implementations of ingest's Protocols, one file each."""
