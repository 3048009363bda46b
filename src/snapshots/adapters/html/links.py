"""Links from the components of a page to other pages."""

from datetime import datetime
from typing import Protocol


class Links(Protocol):
    """Where the components of a page lead; None for text that is no link."""

    def network(self, asn: str) -> str | None:
        """Return the page of a network."""
        ...

    def filtered(self, name: str, value: str | None) -> str | None:
        """Return the same page with one more filter; a value of None selects sessions without a value."""
        ...

    def period(self, since: datetime, until: datetime) -> str | None:
        """Return the same page for another period."""
        ...

    def behaviour(self, key: str, value: str) -> str | None:
        """Return the page of a behavior, by the name of its filter and its value."""
        ...

    def sessions(self, *filters: tuple[str, str | None]) -> str | None:
        """Return the list of the sessions of the page, or of those with more filters."""
        ...


class NoLinks:
    """The links of a page that stands alone: none."""

    def network(self, asn: str) -> str | None:
        """Return None."""
        del asn
        return None

    def filtered(self, name: str, value: str | None) -> str | None:
        """Return None."""
        del name, value
        return None

    def period(self, since: datetime, until: datetime) -> str | None:
        """Return None."""
        del since, until
        return None

    def behaviour(self, key: str, value: str) -> str | None:
        """Return None."""
        del key, value
        return None

    def sessions(self, *filters: tuple[str, str | None]) -> str | None:
        """Return None."""
        del filters
        return None


NO_LINKS = NoLinks()
