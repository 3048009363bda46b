"""The settings, as text comes in from options and the environment."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snapshots.app.errors import SettingRefused
from snapshots.domain.policy import Requirement


class Settings(BaseModel):
    """
    How `snapshots` works.

    Attributes:
        db: The database's URL.
        mmdb: MMDB files to look addresses up in, the most trusted first; before the bundled table.
        requires: Which facts a snapshot must state.
        max_lag_days: How many days after a sighting a fact may have been stated; None for no bound.
        max_type_lag_days: The same for IP types.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    db: str = Field(default="sqlite:///snapshots.db", min_length=1)
    mmdb: tuple[Path, ...] = ()
    requires: Requirement = Requirement.ASN_OR_COUNTRY
    max_lag_days: float | None = Field(default=None, ge=0, le=100_000)
    max_type_lag_days: float | None = Field(default=None, ge=0, le=100_000)

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
    def max_type_lag(self) -> timedelta | None:
        """Return the greatest lag of an IP type."""
        return None if self.max_type_lag_days is None else timedelta(days=self.max_type_lag_days)
