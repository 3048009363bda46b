"""Sources of facts."""

import gzip
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import iporigin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.intel.bundled import BUNDLED, open_bundled
from snapshots.adapters.intel.iporigin import IporiginSource
from snapshots.adapters.intel.mmdb import facts_in, open_mmdb
from snapshots.app.errors import SourceUnreadable
from snapshots.app.ports.inventory import FactSource
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.build_checks import SAMPLE
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts
from tests.tables import broken_record, mmdb

GOOGLE, DNS6 = IpAddress("8.8.8.8"), IpAddress("2001:4860:4860::8888")
TOR = IpAddress("185.220.101.1")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(params=["bundled", "iporigin", "mmdb"])
def source(request: pytest.FixtureRequest, cache: Path, tmp_path: Path) -> FactSource:
    if request.param == "bundled":
        return open_bundled(BUNDLED[0], cache)
    if request.param == "iporigin":
        return IporiginSource()
    return open_mmdb(mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}}))


def test_every_source_has_a_name_a_date_a_licence_and_a_hash(source: FactSource) -> None:
    """The provenance of each fact needs them."""
    build = source.build

    assert build.name
    assert build.built_at.year >= 2026
    assert build.licence
    assert len(build.sha256) == 64


def test_every_source_answers_a_batch(source: FactSource) -> None:
    """Addresses without an entry are absent from the answer."""
    answers = source.look_up([GOOGLE, DNS6, IpAddress("192.0.2.1")])

    assert answers[GOOGLE] != IpFacts()
    assert set(answers) <= {GOOGLE, DNS6}
    assert source.look_up([]) == {}


def test_the_bundled_tables_know_asn_country_and_name(cache: Path) -> None:
    """For IPv4 and IPv6, and origin-asn where DB-IP has no ASN."""
    dbip, origin = (open_bundled(table, cache) for table in BUNDLED)

    facts = dbip.look_up([GOOGLE, DNS6])
    assert (facts[GOOGLE].asn, facts[GOOGLE].country, facts[GOOGLE].organization) == (15169, "US", "Google LLC")
    assert (facts[DNS6].asn, facts[DNS6].country) == (15169, "CA")
    gap = IpAddress("185.222.209.151")
    assert dbip.look_up([gap])[gap].asn is None
    assert origin.look_up([gap])[gap].asn == 212255
    assert [table.build.label for table in (dbip, origin)] == ["dbip@2026-09-01", "origin-asn@2026-09-16"]


def test_a_bundled_table_is_unpacked_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    """Half a file in the cache would answer wrongly for ever."""
    table = BUNDLED[1]
    open_bundled(table, tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    open_bundled(table, tmp_path)
    assert file.stat().st_mtime_ns == written

    file.write_bytes(file.read_bytes()[:-1])

    gap = IpAddress("185.222.209.151")
    assert open_bundled(table, tmp_path).look_up([gap])[gap].asn == 212255
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_on_a_read_only_file_system_a_table_is_opened_in_memory(tmp_path: Path) -> None:
    """Lookups work without a writable cache."""
    blocked = tmp_path / "file"
    blocked.write_text("")

    gap = IpAddress("185.222.209.151")
    assert open_bundled(BUNDLED[1], blocked / "below").look_up([gap])[gap].asn == 212255


def test_an_interrupted_unpacking_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an incomplete file nor a temporary one."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snapshots.adapters.intel.bundled.os.fdopen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_bundled(BUNDLED[1], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_iporigin_has_tor_exits_and_data_centers() -> None:
    """It never reports an unknown address as residential."""
    answers = IporiginSource().look_up([TOR, GOOGLE, IpAddress("193.201.224.206")])

    assert answers[TOR].ip_types == {IpType.TOR}
    assert answers[GOOGLE].ip_types == {IpType.DATACENTER}
    assert len(answers) == 2


def test_iporigin_is_read_as_it_classifies_addresses() -> None:
    """Its table is read directly, which is faster than its function."""
    answers = IporiginSource().look_up([*SAMPLE, TOR, DNS6])

    classified = {address: iporigin.classify(address.text).kind for address in (*SAMPLE, TOR, DNS6)}  # type: ignore[no-untyped-call]
    assert {address: facts.ip_types for address, facts in answers.items()} == {
        address: {kind} for address, word in classified.items() if (kind := IpType.named(word)) is not None
    }
    assert len(answers) > 50


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        ({"autonomous_system_number": 1, "autonomous_system_organization": "A"}, IpFacts(asn=1, organization="A")),
        ({"asn": "AS64500", "as_name": "B", "country": "de"}, IpFacts(asn=64500, organization="B", country="DE")),
        ({"asn": "AS64500", "name": "B", "country_code": "FR"}, IpFacts(asn=64500, organization="B", country="FR")),
        ({"country": {"iso_code": "DE"}, "city": {}}, IpFacts(country="DE")),
        (
            {"traits": {"autonomous_system_number": 5, "user_type": "hosting"}},
            IpFacts(asn=5, ip_types=frozenset({IpType.DATACENTER})),
        ),
        ({"is_tor_exit_node": True, "is_anonymous_vpn": False}, IpFacts(ip_types=frozenset({IpType.TOR}))),
        ({"vpn": "true", "hosting": True, "tor": ""}, IpFacts(ip_types=frozenset({IpType.VPN, IpType.DATACENTER}))),
        ({"user_type": "something new"}, IpFacts()),
        ({"connection_type": "Cellular"}, IpFacts(ip_types=frozenset({IpType.MOBILE}))),
        ({"asn": "AS5", "type": "isp"}, IpFacts(asn=5, ip_types=frozenset({IpType.RESIDENTIAL}))),
        ({"asn": "AS5", "type": "education"}, IpFacts(asn=5)),
        ({"proxy_type": "RES", "usage_type": "ISP"}, IpFacts(ip_types=frozenset({IpType.PROXY, IpType.RESIDENTIAL}))),
        ({"autonomous_system_number": 0, "country": {"iso_code": "ZZ"}}, IpFacts()),
        ({"autonomous_system_number": 2**32, "country": "Germany"}, IpFacts()),
        ({"autonomous_system_number": "AS", "country": 5, "country_code": "XX"}, IpFacts()),
    ],
)
def test_the_usual_shapes_of_records_are_understood(record: dict[str, Any], facts: IpFacts) -> None:
    """GeoLite2, DB-IP, IPinfo and anonymous-IP databases; no sentinel becomes a fact."""
    assert facts_in(record) == facts


def test_an_operators_file_is_named_by_its_type_and_dated(tmp_path: Path) -> None:
    """So that provenance can be read."""
    source = open_mmdb(
        mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"is_tor_exit_node": True}}, kind="GeoIP2 Anonymous/IP")
    )

    assert source.build.name == "geoip2-anonymous-ip"
    assert source.build.origin.endswith("a.mmdb")


def test_an_ipv4_table_has_no_answer_for_ipv6(tmp_path: Path) -> None:
    """The address is absent from the answer."""
    source = open_mmdb(mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 1}}, version=4))

    assert source.look_up([GOOGLE, DNS6]) == {GOOGLE: IpFacts(asn=1)}


def test_a_record_of_an_unknown_format_is_skipped(tmp_path: Path) -> None:
    """An MMDB may hold anything."""
    records: Any = {"8.8.8.0/24": "text", "9.9.9.0/24": {"asn": 9}}

    assert open_mmdb(mmdb(tmp_path / "a.mmdb", records)).look_up([GOOGLE]) == {}


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        ("NL", "its records are of the type str"),
        ({"registered_country": {"iso_code": "NL"}}, "its records have the fields 'registered_country'"),
        (None, "it has no records"),
    ],
)
def test_a_file_that_states_no_fact_is_refused(tmp_path: Path, record: Any, seen: str) -> None:
    """Otherwise every address would be known to have no entry. The country of registration is not the location."""
    with pytest.raises(SourceUnreadable, match=f"states no ASN, country or type; {seen}"):
        open_mmdb(mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": record} if record else {}))


def test_facts_in_parts_of_a_record_are_read() -> None:
    """Some makers group them."""
    assert facts_in({"asn": {"number": 64500, "name": "A"}, "location": {"country": "NL"}}) == IpFacts(
        asn=64500, organization="A", country="NL"
    )
    assert facts_in({"number": 64500}) == IpFacts()
    assert facts_in({"geo": {"country_code": "NL"}, "as": {"asn": "AS64500", "type": "hosting"}}) == IpFacts(
        asn=64500, country="NL"
    )


def test_a_file_that_is_not_an_mmdb_file_is_refused(tmp_path: Path) -> None:
    """In one sentence, with its name."""
    wrong = tmp_path / "wrong.mmdb"
    with pytest.raises(SourceUnreadable, match=r"wrong\.mmdb cannot be read"):
        open_mmdb(wrong)
    wrong.write_text("no MMDB")
    with pytest.raises(SourceUnreadable, match=r"wrong\.mmdb is not an MMDB file"):
        open_mmdb(wrong)


def test_a_damaged_mmdb_file_is_an_error(tmp_path: Path) -> None:
    """It can be opened, but its records are broken; some of them, or all."""
    with pytest.raises(SourceUnreadable, match="damaged"):
        open_mmdb(broken_record(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 64500}}))

    some: Mapping[str, dict[str, Any]] = {
        "1.1.1.0/24": {"asn": 64499},
        "8.8.8.0/24": {"asn": 64500, "as_name": "a longer record"},
    }
    source = open_mmdb(broken_record(tmp_path / "b.mmdb", some))
    with pytest.raises(SourceUnreadable, match="is damaged"):
        source.look_up([GOOGLE])


def test_a_file_without_its_beginning_is_refused(tmp_path: Path) -> None:
    """Its search tree would give the facts of other networks."""
    path = mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 64500}, "9.9.9.0/24": {"asn": 9}})
    whole = path.read_bytes()
    for data, name in ((whole[200:], "a.mmdb"), (gzip.compress(whole[200:]), "a.mmdb.gz")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceUnreadable, match="its search tree has not the size"):
            open_mmdb(tmp_path / name)


def test_a_damaged_search_tree_is_a_clean_error(tmp_path: Path) -> None:
    """A circle in the tree makes the extension module overwrite memory when it iterates."""
    whole = mmdb(tmp_path / "a.mmdb", {f"{n}.0.0.0/8": {"asn": n} for n in range(1, 60)}).read_bytes()
    for place in range(0, 600, 3):
        path = tmp_path / f"{place}.mmdb"
        path.write_bytes(whole[:place] + bytes(3) + whole[place + 3 :])  # the first node follows again
        with suppress(SourceUnreadable):
            open_mmdb(path).look_up([GOOGLE, DNS6, TOR])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_is_a_clean_error(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    """Never a traceback, whatever bytes of the file have changed."""
    whole = tmp_path / "whole.mmdb"
    if not whole.exists():
        mmdb(whole, {f"{n}.0.0.0/8": {"asn": n, "country": {"iso_code": "DE"}} for n in range(1, 60)})
    data = bytearray(whole.read_bytes())
    for place, byte in changes:
        data[-1 - place % len(data)] = byte
    path = tmp_path / "damaged.mmdb"
    path.write_bytes(data)

    with suppress(SourceUnreadable):
        open_mmdb(path).look_up([GOOGLE, DNS6, TOR])


def test_a_large_file_that_changes_in_use_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read into memory, and after it was cut or overwritten its answers would be those of other networks."""
    monkeypatch.setattr("snapshots.adapters.intel.mmdb.LARGEST_IN_MEMORY", 0)
    path = mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 64500}})
    source = open_mmdb(path)
    assert source.look_up([GOOGLE])[GOOGLE].asn == 64500

    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SourceUnreadable, match=r"is damaged|was changed while it was in use"):
        source.look_up([GOOGLE])

    path.unlink()
    with pytest.raises(SourceUnreadable):
        source.look_up([GOOGLE])


def test_a_large_file_that_changes_only_in_its_time_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been overwritten in the same size."""
    monkeypatch.setattr("snapshots.adapters.intel.mmdb.LARGEST_IN_MEMORY", 0)
    path = mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 64500}})
    source = open_mmdb(path)

    os.utime(path, (0, 0))

    with pytest.raises(SourceUnreadable, match="was changed while it was in use"):
        source.look_up([GOOGLE])


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_large_file_that_is_replaced_or_deleted_in_use_is_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    """Programs that renew tables rename a new file over the old one, which stays whole for whom opened it."""
    monkeypatch.setattr("snapshots.adapters.intel.mmdb.LARGEST_IN_MEMORY", 0)
    path = mmdb(tmp_path / "a.mmdb", {"8.8.8.0/24": {"asn": 64500}})
    source = open_mmdb(path)

    if is_replaced:
        mmdb(tmp_path / "new.mmdb", {"8.8.8.0/24": {"asn": 64501}}).replace(path)
    else:
        path.unlink()

    assert source.look_up([GOOGLE])[GOOGLE].asn == 64500
