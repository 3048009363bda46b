"""Choose one of several names of a network."""

from datetime import UTC, datetime
from typing import NamedTuple

UNDATED = datetime.min.replace(tzinfo=UTC)


class NetworkName(NamedTuple):
    """
    The name of an autonomous system in one table.

    Attributes:
        text: The name.
        stated_at: The date of the table, in UTC; None if unknown, such as for a name that another loader stored.
    """

    text: str
    stated_at: datetime | None = None


def newest_name(first: NetworkName, *others: NetworkName) -> NetworkName:
    """
    Return the name from the newest table; among equal dates, the alphabetically first.

    The result does not depend on the order or the batches of the names. A name without a date is the oldest.
    """
    return min((first, *others), key=lambda name: (UNDATED - (name.stated_at or UNDATED), name.text))
