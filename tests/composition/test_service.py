"""The service for other loaders, opened by its public function."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type, get_args

import pytest

from snapshots import (
    Gap,
    IpSnapshot,
    IpType,
    SessionAggregate,
    SessionSummary,
    SettingRefused,
    SnapshotService,
    SourceUnreadable,
    StoreUnavailable,
    open_service,
)
from snapshots.adapters.cli.settings import Settings
from snapshots.composition.service import RequiredFacts
from snapshots.domain.snapshot.policy import Requirement
from tests.tables import mmdb

SEEN = SessionAggregate.sighted("s", "8.8.8.8", datetime(2026, 11, 1, tzinfo=UTC))
IN_MEMORY = "sqlite://"


def enriched(**settings: Any) -> SessionSummary:
    with open_service(IN_MEMORY, **settings) as service:
        (summary,) = service.enrich([SEEN])
    return summary


def test_the_types_are_those_that_a_checker_finds() -> None:
    """mypy checks this test with all others."""
    with open_service(IN_MEMORY) as service:
        assert_type(service, SnapshotService)
        summaries = service.enrich([SEEN])
    assert_type(summaries, list[SessionSummary])
    assert_type(summaries[0].snapshot, IpSnapshot | None)
    assert_type(summaries[0].gap, Gap | None)
    assert summaries[0].snapshot is not None


def test_facts_have_the_limits_and_requirements_of_the_keywords() -> None:
    """The bundled tables are two months older than the attack."""
    assert enriched().snapshot is not None
    assert enriched(max_age_days=0.5).gap is Gap.PARTIAL
    assert enriched(max_age_days=0.5, requires="any").snapshot is not None
    assert enriched(max_lag_days=0, max_type_lag_days=0, lock_timeout_seconds=1) == enriched()


def test_tables_of_the_caller_come_before_the_bundled_ones(tmp_path: Path) -> None:
    """Their paths are strings or Path objects; the attack is later than the tables."""
    one = mmdb(tmp_path / "one.mmdb", {"222.186.0.0/16": {"autonomous_system_number": 64500}}, kind="One")
    two = mmdb(tmp_path / "two.mmdb", {"222.186.0.0/16": {"autonomous_system_number": 64501}}, kind="Two")
    types = tmp_path / "network-types-own-2026-11-01.csv"
    types.write_text("AS64500,mobile\nAS64501,hosting\n")
    attack = SessionAggregate.sighted("s", "222.186.30.1", datetime.now(UTC))

    def facts(prefer: Sequence[str]) -> tuple[int | None, IpType | None]:
        with open_service(IN_MEMORY, mmdb=[one, str(two)], network_types=(types,), prefer=prefer) as service:
            (summary,) = service.enrich([attack])
        assert summary.snapshot is not None
        return summary.snapshot.asn, summary.snapshot.ip_type

    assert facts([]) == (64500, IpType.MOBILE)
    assert facts(["asn=two"]) == (64501, IpType.DATACENTER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requires", "nonsense"),
        ("requires", 1),
        ("mmdb", "file.mmdb"),
        ("mmdb", [b"file.mmdb"]),
        ("network_types", 1),
        ("prefer", ["country"]),
        ("prefer", "country=dbip"),
        ("prefer", [1]),
        ("max_age_days", -1),
        ("max_age_days", "5"),
        ("max_age_days", True),
        ("max_lag_days", float("nan")),
        ("max_lag_days", float("inf")),
        ("max_lag_days", 100_001),
        ("max_type_lag_days", []),
        ("lock_timeout_seconds", 1e7),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(name: str, value: object) -> None:
    """In one line, which also has the value, and without a traceback of a library."""
    with pytest.raises(SettingRefused, match=rf"^{name}(\.0)?: [^\n]+$") as refused:
        enriched(**{name: value})

    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "url: pass a database URL or the path of a SQLite file, not a NoneType"),
        (Path("snapshots.db"), "not a PosixPath"),
        (b"sqlite://", "not a bytes"),
        ("mysql://u:hunter2@h/x", "only SQLite and PostgreSQL are supported"),
        ("", "the name of the database is empty"),
        ("trial", "is not a database URL"),
        ("sqlite://\udc80:hunter2@x", "is not UTF-8"),
    ],
)
def test_a_wrong_url_is_refused(url: Any, reason: str) -> None:
    """Without its password."""
    with pytest.raises(SettingRefused, match=reason) as refused, open_service(url):
        pass

    assert "hunter2" not in str(refused.value)


def test_an_unknown_keyword_is_a_type_error() -> None:
    """As for every function of Python."""
    with pytest.raises(TypeError, match="max_days"):
        open_service(IN_MEMORY, max_days=1)  # type: ignore[call-arg]  # that is the test


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """When the block is entered."""
    with pytest.raises(SourceUnreadable, match=r"missing\.mmdb"):
        enriched(mmdb=[tmp_path / "missing.mmdb"])


def test_a_database_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """When it is used."""
    (tmp_path / "text.db").write_text("no database, but long enough to be read as the header of one" * 20)

    with pytest.raises(StoreUnavailable), open_service(f"{tmp_path}/text.db") as service:
        service.enrich([SEEN])


def test_none_stands_for_the_default() -> None:
    """For every setting."""
    with open_service(IN_MEMORY, max_age_days=None, max_lag_days=None, max_type_lag_days=None) as service:
        assert service.enrich([SEEN]) == [enriched()]


def test_the_accepted_requirements_are_those_of_the_policy() -> None:
    """And the default is that of the settings."""
    assert set(get_args(RequiredFacts)) == {each.value for each in Requirement}
    assert Settings().requires.value == "asn_or_country"
