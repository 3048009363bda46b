"""Describe a filter in words, by the names of its options."""

from collections.abc import Iterator

from snapshots.app.queries.session_queries import SessionFilter


def filter_text(session_filter: SessionFilter) -> str:
    """Return a filter as text, such as "since 2026-03-01 00:00, country CN or DE, not user root"; "" for all."""
    return ", ".join(_parts(session_filter))


def _parts(session_filter: SessionFilter) -> Iterator[str]:
    for word, limit in (("since", session_filter.since), ("until", session_filter.until)):
        if limit is not None:
            yield f"{word} {str(limit)[:16]}"  # strftime would write the year 1 as such
    for prefix, values in (("", session_filter.values), ("not ", session_filter.excluded)):
        for key, texts in values.items():
            shown = " or ".join("none" if text is None else text for text in texts)
            yield f"{prefix}{key.value.replace('-', ' ')} {shown}"
    for prefix, did in (("", session_filter.did), ("not ", session_filter.did_not)):
        if did:
            yield f"{prefix}did {' or '.join(activity.value for activity in did)}"
