"""Register and retract builds of fact sources, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal, select, update

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.rows.row_decoder import digest_of_source
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.facts.source_builds import RegisteredBuild


class SqlFactSources:
    """Builds as rows of `fact_sources`, cached for the transaction, which excludes other writers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._registered: Sequence[RegisteredBuild] | None = None

    def registered(self) -> Sequence[RegisteredBuild]:
        """Return every build in the order of its registration."""
        if self._registered is None:
            self._registered = self._read()
        return self._registered

    def _read(self) -> Sequence[RegisteredBuild]:
        rows = self._connection.execute(select(fact_sources).order_by(fact_sources.c.number, fact_sources.c.source))
        return [
            RegisteredBuild(
                number=row.number,
                build=SourceBuild(
                    name=row.source,
                    built_at=row.built_at,
                    licence=row.licence,
                    sha256=row.sha256,
                    origin=row.origin,
                    form=row.form,
                ),
                is_retracted=row.retracted_at is not None,
            )
            for row in rows
        ]

    def register_build(self, build: SourceBuild, *, registered_at: datetime) -> RegisteredBuild:
        """Insert the build with the next number unless it exists."""
        self._registered = None
        last = self._connection.execute(select(func.coalesce(func.max(fact_sources.c.number), 0))).scalar_one()
        row = {
            "source": build.name,
            "built_at": build.built_at,
            "number": last + 1,
            "licence": build.licence,
            "sha256": build.sha256,
            "origin": build.origin,
            "form": build.form,
            "registered_at": registered_at,
        }
        self._connection.execute(
            insert(self._connection, fact_sources).on_conflict_do_nothing(), row | {"digest": digest_of_source(row)}
        )
        (known,) = (b for b in self.registered() if (b.build.name, b.build.built_at) == (build.name, build.built_at))
        return known

    def retract_build(self, number: int, *, retracted_at: datetime) -> int:
        """Mark the build as retracted; observations that later builds confirmed start with the next build instead."""
        (build,) = (b.build for b in self.registered() if b.number == number)
        self._registered = None
        self._connection.execute(
            update(fact_sources).where(fact_sources.c.number == number).values(retracted_at=retracted_at)
        )
        run, other = ip_observations.alias("run"), ip_observations.alias("other")
        following = select(func.min(fact_sources.c.built_at)).where(
            fact_sources.c.source == build.name,
            fact_sources.c.built_at > build.built_at,
            fact_sources.c.retracted_at.is_(None),
        )
        again = self._connection.execute(following).scalar()
        begun = and_(run.c.source == build.name, run.c.observed_at == build.built_at)
        if again is not None:
            kept: dict[str, ColumnElement[Any]] = {c.name: run.c[c.name] for c in ip_observations.columns}
            kept |= {
                "observed_at": literal(again, ip_observations.c.observed_at.type),
                "learned_at": literal(retracted_at, ip_observations.c.learned_at.type),
            }
            taken = exists().where(
                other.c.ip_address == run.c.ip_address,
                other.c.source == build.name,
                other.c.observed_at > build.built_at,
                other.c.observed_at <= again,
            )
            repeated = select(*kept.values()).where(begun, run.c.confirmed_until >= again, ~taken)
            self._connection.execute(ip_observations.insert().from_select(list(kept), repeated))
        return self._connection.execute(select(func.count()).select_from(run).where(begun)).scalar_one()
