"""The rules: the address of a session, the facts about it as of a time, and the snapshot that is stored."""
