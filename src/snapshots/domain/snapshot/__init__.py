"""Which facts hold as of a time, and what is sealed on a session."""
