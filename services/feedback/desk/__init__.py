"""The review desk: pages for agents, server-rendered."""
