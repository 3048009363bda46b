"""The observations of one source next to a time, and facts in them that are not used."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpObservation


class NearestStatements:
    """The observations of one source next to a time."""

    __slots__ = ("_at", "after", "before", "name")

    def __init__(self, name: str, at: datetime) -> None:
        self.name = name
        self._at = at
        self.before: IpObservation | None = None
        self.after: IpObservation | None = None

    def add(self, observation: IpObservation) -> None:
        """Store an observation if it is nearer to the time than the stored one."""
        if observation.observed_at > self._at:
            if self.after is None or observation.observed_at < self.after.observed_at:
                self.after = observation
        elif self.before is None or observation.observed_at > self.before.observed_at:
            self.before = observation

    @property
    def age(self) -> timedelta:
        """Return how long before the time the last build of the observation before it was made."""
        if self.before is None or self.before.confirmed_until >= self._at:
            return timedelta(0)
        return self._at - self.before.confirmed_until

    @property
    def lag(self) -> timedelta:
        """Return how long after the time the first build of the observation after it was made."""
        return self.after.observed_at - self._at if self.after is not None else timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLeftOut:
    """
    A type that was stated too long before or after a time to be used.

    Attributes:
        source: The name of the source.
        ip_type: The highest-ranked of the types that it stated together.
        others: The lower-ranked ones, which are not used instead.
        distance: Its age, or its lag if it was stated later.
        bound: The maximum age or lag.
        is_after: Whether it was stated after the time.
    """

    source: str
    ip_type: IpType
    others: tuple[IpType, ...]
    distance: timedelta
    bound: timedelta
    is_after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AsnLeftOut:
    """
    An ASN that a later table states, but that cannot have been in use at the time.

    Attributes:
        source: The name of the source.
        asn: The number.
        in_use_since: It was not in use before.
    """

    source: str
    asn: int
    in_use_since: datetime
