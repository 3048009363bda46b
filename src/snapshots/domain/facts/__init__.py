"""Facts that sources state about addresses."""
