"""The HTTP API, feeds, metrics and health."""
