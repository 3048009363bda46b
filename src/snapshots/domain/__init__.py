"""The rules: what a session's address is, what was known of it, and what a session keeps."""
