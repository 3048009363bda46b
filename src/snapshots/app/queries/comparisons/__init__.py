"""What changed between two periods, and what is new."""
