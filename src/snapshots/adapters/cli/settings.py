"""Settings from options and the environment."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snapshots.app.errors import SettingRefused
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS
from snapshots.app.safe_text import without_passwords
from snapshots.domain.snapshot.policy import Requirement

Number = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
"""A finite number that is not negative; strict: True and "5" are none."""

Days = Annotated[Number, Field(le=100_000)]


class Settings(BaseModel):
    """
    Validated settings of the program.

    Attributes:
        db: The database's URL, or the path of a SQLite file.
        mmdb: MMDB files, consulted in this order before the bundled tables.
        network_types: Tables of types by network, consulted in this order before the bundled one.
        requires: Facts that a snapshot must have.
        max_lag_days: Maximum days from a sighting to a later fact; None for no limit.
        max_type_lag_days: The same for all IP types; None for the default limit of each type.
        max_age_days: Maximum age of an ASN or a country at a sighting; None for 400 days.
        fresh_days: Age in days up to which facts of an address are fresh.
        fresh_days_fast: The same for VPN, Tor and datacenter addresses, which change often.
        max_replication_lag_seconds: Replication lag above which a backfill pauses; 0 for no limit.
        max_lock_waits: Number of connections waiting for locks above which it pauses; 0 for no limit.
        max_transaction_seconds: Age of another transaction above which it pauses; 0 for no limit.
        lock_timeout_seconds: Maximum wait for a lock that another process holds.
        prefer: Sources that are used first for one fact, such as "country=geolite2-country".
        query_seconds: The database is only read, and a query ends after so many seconds; None for no such limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    db: str = "sqlite:///snapshots.db"
    mmdb: tuple[Path, ...] = ()
    network_types: tuple[Path, ...] = ()
    requires: Requirement = Requirement.ASN_OR_COUNTRY
    max_lag_days: Days | None = None
    max_type_lag_days: Days | None = None
    max_age_days: Days | None = None
    fresh_days: Days = 30
    fresh_days_fast: Days = 7
    max_replication_lag_seconds: Number = Field(default=30, le=1e9)
    max_lock_waits: int = Field(default=5, ge=0)
    max_transaction_seconds: Number = Field(default=3600, le=1e9)
    lock_timeout_seconds: Number = Field(default=LOCK_TIMEOUT_SECONDS, le=1e6)
    prefer: tuple[Annotated[str, Field(pattern=r"^(asn|country)=[a-z0-9.-]+$")], ...] = ()

    query_seconds: Number | None = Field(default=None, gt=0, le=1e6)

    @classmethod
    def of(cls, **values: object) -> Self:
        """
        Return the settings in *values*; a value of None leaves the default.

        Raises:
            SettingRefused: A value is invalid; the message names it and the reason.
        """
        try:
            return cls.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as exc:
            first = exc.errors()[0]
            name, reason = ".".join(map(str, first["loc"])), first["msg"]
            value = without_passwords(repr(first["input"]))[:80]
            raise SettingRefused(f"{name}: {reason[0].lower()}{reason[1:]}, not {value}") from None

    @property
    def max_lag(self) -> timedelta | None:
        """Return the maximum time from a sighting to a later fact; None for no limit."""
        return None if self.max_lag_days is None else timedelta(days=self.max_lag_days)

    @property
    def max_age(self) -> timedelta | None:
        """Return the maximum age of an ASN or a country at a sighting; None for the default."""
        return None if self.max_age_days is None else timedelta(days=self.max_age_days)

    @property
    def fresh_for(self) -> timedelta:
        """Return the age up to which facts are fresh."""
        return timedelta(days=self.fresh_days)

    @property
    def fresh_for_fast(self) -> timedelta:
        """Return the age up to which facts that change often are fresh."""
        return timedelta(days=self.fresh_days_fast)

    @property
    def max_replication_lag(self) -> timedelta | None:
        """Return the replication lag above which a backfill pauses; None for no limit."""
        return timedelta(seconds=self.max_replication_lag_seconds) or None

    @property
    def lock_waits(self) -> int | None:
        """Return the number of lock waits above which a backfill pauses; None for no limit."""
        return self.max_lock_waits or None

    @property
    def max_transaction(self) -> timedelta | None:
        """Return the age of another transaction above which a backfill pauses; None for no limit."""
        return timedelta(seconds=self.max_transaction_seconds) or None

    @property
    def prefer_for_asn(self) -> tuple[str, ...]:
        """Return the sources that are used first for the ASN."""
        return self._preferred("asn=")

    @property
    def prefer_for_country(self) -> tuple[str, ...]:
        """Return the sources that are used first for the country."""
        return self._preferred("country=")

    def _preferred(self, fact: str) -> tuple[str, ...]:
        return tuple(words.removeprefix(fact) for words in self.prefer if words.startswith(fact))

    @property
    def max_type_lag(self) -> timedelta | None:
        """Return the maximum lag of all IP types; None for the default of each type."""
        return None if self.max_type_lag_days is None else timedelta(days=self.max_type_lag_days)
