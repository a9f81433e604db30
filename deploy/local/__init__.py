"""The embedded stack: servers from Python wheels and the services, in one data folder."""
