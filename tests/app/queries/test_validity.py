"""Messages about tables that are too old for new attacks."""

import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from snapshots.app.queries.validity import FactValidity, renewal
from snapshots.domain.facts.fact_kind import FactKind
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.validity import NewestBuild
from tests.fakes import FixedBuilds
from tests.strategies import DAY, NOON


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
