"""The settings, as text comes in from options and the environment."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snapshots.app.errors import SettingRefused
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS
from snapshots.domain.snapshot.policy import Requirement


class Settings(BaseModel):
    """
    How `snapshots` works.

    Attributes:
        db: The database's URL, or the path of a SQLite file.
        mmdb: MMDB files to look addresses up in, the most trusted first; before the bundled table.
        requires: Which facts a snapshot must state.
        max_lag_days: How many days after a sighting a fact may have been stated; None for no bound.
        max_type_lag_days: The same for IP types, replacing the limit of each type; None for those limits.
        max_age_days: How old an ASN or a country may be at a sighting; None for 400 days.
        fresh_days: How old facts of an address may be before a newer build should be had.
        fresh_days_fast: The same for addresses that are a VPN, a Tor exit or in a datacenter.
        max_replication_lag_seconds: How far a replica may be behind before a backfill waits; 0 to never mind.
        max_lock_waits: How many sessions may wait for locks before it waits; 0 to never mind.
        max_transaction_seconds: How old another transaction may be before it waits; 0 to never mind.
        lock_timeout_seconds: How long to wait for a lock that another process holds.
        prefer: Sources that come before all others for one fact, such as "country=geolite2-country".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    db: str = "sqlite:///snapshots.db"
    mmdb: tuple[Path, ...] = ()
    requires: Requirement = Requirement.ASN_OR_COUNTRY
    max_lag_days: float | None = Field(default=None, ge=0, le=100_000)
    max_type_lag_days: float | None = Field(default=None, ge=0, le=100_000)

    max_age_days: float | None = Field(default=None, ge=0, le=100_000)
    fresh_days: float = Field(default=30, ge=0, le=100_000)
    fresh_days_fast: float = Field(default=7, ge=0, le=100_000)
    max_replication_lag_seconds: float = Field(default=30, ge=0, le=1e9)
    max_lock_waits: int = Field(default=5, ge=0)
    max_transaction_seconds: float = Field(default=3600, ge=0, le=1e9)
    lock_timeout_seconds: float = Field(default=LOCK_TIMEOUT_SECONDS, ge=0, le=1e6)
    prefer: tuple[Annotated[str, Field(pattern=r"^(asn|country)=[a-z0-9.-]+$")], ...] = ()

    @classmethod
    def of(cls, **values: object) -> Self:
        """
        Return the settings in *values*; a value of None leaves the default.

        Raises:
            SettingRefused: A value cannot be used; the message says which and why.
        """
        try:
            return cls.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as exc:
            first = exc.errors()[0]
            raise SettingRefused(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from exc

    @property
    def max_lag(self) -> timedelta | None:
        """Return the greatest lag of any fact."""
        return None if self.max_lag_days is None else timedelta(days=self.max_lag_days)

    @property
    def max_age(self) -> timedelta | None:
        """Return how old an ASN or a country may be at a sighting."""
        return None if self.max_age_days is None else timedelta(days=self.max_age_days)

    @property
    def fresh_for(self) -> timedelta:
        """Return how old facts may be."""
        return timedelta(days=self.fresh_days)

    @property
    def fresh_for_fast(self) -> timedelta:
        """Return how old facts may be that change quickly."""
        return timedelta(days=self.fresh_days_fast)

    @property
    def max_replication_lag(self) -> timedelta | None:
        """Return how far a replica may be behind; None to never mind."""
        return timedelta(seconds=self.max_replication_lag_seconds) or None

    @property
    def lock_waits(self) -> int | None:
        """Return how many sessions may wait for locks; None to never mind."""
        return self.max_lock_waits or None

    @property
    def max_transaction(self) -> timedelta | None:
        """Return how old another transaction may be; None to never mind."""
        return timedelta(seconds=self.max_transaction_seconds) or None

    @property
    def prefer_for_asn(self) -> tuple[str, ...]:
        """Return the sources that come first for the ASN."""
        return self._preferred("asn=")

    @property
    def prefer_for_country(self) -> tuple[str, ...]:
        """Return the sources that come first for the country."""
        return self._preferred("country=")

    def _preferred(self, fact: str) -> tuple[str, ...]:
        return tuple(words.removeprefix(fact) for words in self.prefer if words.startswith(fact))

    @property
    def max_type_lag(self) -> timedelta | None:
        """Return the maximum lag of all IP types; None for the default of each type."""
        return None if self.max_type_lag_days is None else timedelta(days=self.max_type_lag_days)
