"""Which of several names of a network is kept."""

from datetime import UTC, datetime
from typing import NamedTuple

UNDATED = datetime.min.replace(tzinfo=UTC)


class NetworkName(NamedTuple):
    """
    The name of an autonomous system, as one table states it.

    Attributes:
        text: The name.
        stated_at: The date of the table, in UTC; None for a name without a date, such as another loader's.
    """

    text: str
    stated_at: datetime | None = None


def newest_name(first: NetworkName, *others: NetworkName) -> NetworkName:
    """
    Return the name of the newest table; of names with the same date, the one whose text is smaller.

    The result depends neither on the order of the names nor on how they are grouped into batches. A name without a date
    is older than every other.
    """
    return min((first, *others), key=lambda name: (UNDATED - (name.stated_at or UNDATED), name.text))
