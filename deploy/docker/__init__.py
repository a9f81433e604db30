"""compose.yaml's own programs: its secrets, and what is prepared before the services start."""
