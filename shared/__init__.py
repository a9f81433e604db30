"""What all services agree on: events, topology, delivery, bus, objects, settings."""
