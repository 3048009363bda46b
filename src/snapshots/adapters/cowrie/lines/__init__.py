"""From a line of a log to an event."""
