"""Counts in words."""


def count_of(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as "1 session" or "2,000 sessions"."""
    return f"{count:,} {noun_of(count, singular, plural)}"


def noun_of(count: int, singular: str, plural: str | None = None) -> str:
    """Return the noun for a count."""
    return singular if count == 1 else plural or f"{singular}s"
