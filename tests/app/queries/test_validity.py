"""Messages about tables that are too old for new attacks."""

import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from snapshots.app.queries.validity import FactValidity, anonymizer_texts, renewal
from snapshots.domain.facts.fact_kind import FactKind
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.validity import NewestBuild
from tests.fakes import FixedBuilds
from tests.strategies import DAY, NOON, observed


def build(name: str, day: int = 0, form: str = "") -> SourceBuild:
    return SourceBuild(name=name, built_at=NOON + day * DAY, licence="MIT", sha256="00", origin="x", form=form)


VALIDITY = FactValidity(
    FixedBuilds(
        build("iporigin"),
        NewestBuild(build("geo", form="mmdb"), [FactKind.COUNTRY]),
        NewestBuild(build("tables"), [FactKind.ASN]),
        build("exits", day=3, form="list TOR"),
    ),
    AsOfReader(network_max_age=timedelta(days=20)),
    {"iporigin": (FactKind.VPN, FactKind.TOR, FactKind.PROXY)},
)


def test_each_expired_table_is_named_with_the_command_that_renews_it() -> None:
    """And with the kinds of facts that new sessions lack."""
    until = "is too old for attacks after 2026-03-15; later sessions get none of these facts from it. To renew it: "
    networks = until.replace("03-15", "03-21")
    of_this_month = "snapshots facts refresh" + "".join(
        f" --from https://download.db-ip.com/free/dbip-{kind}-lite-YYYY-MM.mmdb.gz" for kind in ("asn", "country")
    )

    install = f"{sys.executable} -m pip install --upgrade iporigin"
    assert VALIDITY.expired(NOON + 16 * DAY) == [
        f"VPN, PROXY: the newest table (iporigin@2026-03-01T12:00) {until}{install}"
    ]
    assert VALIDITY.expired(NOON + 21 * DAY)[:2] == [
        f"ASN: the newest table (tables@2026-03-01T12:00) {networks}{of_this_month}",
        f"country: the newest table (geo@2026-03-01T12:00) {networks}snapshots facts import NEWER-TABLE --name geo",
    ]
    assert VALIDITY.expired(NOON + 21 * DAY)[3].endswith("import NEWER-TABLE --name exits --type TOR")


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ("/home/me/tables/exits-2026-03-01T12-00-00Z.txt", "snapshots facts refresh"),
        ("/usr/share/GeoIP/GeoLite2-ASN.mmdb", "snapshots facts refresh"),
        ("/home/me/exits-2026-03-01.txt", "snapshots facts import NEWER-TABLE --name exits --type TOR"),
    ],
)
def test_a_table_that_refresh_renews_is_renewed_by_it(origin: str, command: str) -> None:
    """Its own downloads, and the folders of geoipupdate."""
    assert renewal(replace(build("exits", form="list TOR"), origin=origin)) == command


def test_nothing_has_expired_for_old_attacks_or_without_any() -> None:
    """A table made after an attack is not too old for it."""
    assert VALIDITY.expired(NOON - 400 * DAY) == []
    assert VALIDITY.expired(NOON + 14 * DAY) == []
    assert VALIDITY.expired(None) == []


def test_lists_before_an_attack_show_which_anonymizers_are_ruled_out() -> None:
    """Only the newest one of each type that is near enough does; a list after the attack does not."""
    considered = [observed("iporigin", NOON), observed("exits", NOON + 3 * DAY), observed("geo", NOON + 4 * DAY)]

    near = VALIDITY.anonymizer_lists(considered, NOON + 5 * DAY)
    far = VALIDITY.anonymizer_lists(considered, NOON + 16 * DAY)

    assert [(each.kind, each.source, each.is_near) for each in near] == [
        (FactKind.VPN, "iporigin", True),
        (FactKind.TOR, "exits", True),
        (FactKind.PROXY, "iporigin", True),
    ]
    exits, iporigin = "exits of 2026-03-04", "iporigin of 2026-03-01"
    assert anonymizer_texts(near) == [
        f"not listed as VPN or PROXY: {iporigin}, 5.0 days before the attack",
        f"not listed as TOR: {exits}, 2.0 days before the attack",
    ]
    assert anonymizer_texts(far) == [
        f"VPN or PROXY not known: {iporigin}, 16.0 days before the attack; a list is used for 14 days",
        f"not listed as TOR: {exits}, 13.0 days before the attack",
    ]
    assert VALIDITY.anonymizer_lists(considered, NOON - DAY) == []
    assert anonymizer_texts([]) == ["VPN, TOR or PROXY not known: no list is older than the attack"]
    assert anonymizer_texts(near[1:]) == [
        f"not listed as TOR: {exits}, 2.0 days before the attack",
        f"not listed as PROXY: {iporigin}, 5.0 days before the attack",
        "VPN not known: no list is older than the attack",
    ]
