"""From a path to lines."""
