"""The dashboards of attacks show what the database has, and the provisioning of Grafana fits them."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, create_engine, text
from tools import build_dashboards
from tools.build_docs import Folder

from tests.conftest import database_on

FOLDER = Path("docs/monitoring/grafana")
ATTACKS = {
    kind: json.loads((FOLDER / f"dashboards/attacks-{kind}.json").read_text()) for kind in ("sqlite", "postgresql")
}
METRICS = json.loads((FOLDER / "dashboards/metrics.json").read_text())
TITLES = [panel["title"] for panel in ATTACKS["sqlite"]["panels"]]
STATEMENTS = {"sqlite": "queryText", "postgresql": "rawSql"}
PROVISIONED = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.rglob("*.yaml")}
BEGIN, END = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
INTERVAL = timedelta(minutes=1)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The time range and the selected values of a dashboard; None is All."""

    since: datetime = BEGIN
    until: datetime = END
    country: Sequence[str] | None = None
    sensor: Sequence[str] | None = None


def variable(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in ATTACKS[kind]["templating"]["list"] if each["name"] == name]
    return dict(found)


def interpolated(kind: str, statement: str, view: View) -> str:
    """Return a statement as Grafana sends it: variables and macros replaced, quotes doubled, the value of All as is."""
    for name, selected in (("country", view.country), ("sensor", view.sensor)):
        quoted = ",".join("'" + value.replace("'", "''") + "'" for value in selected or ())
        value = quoted if selected is not None else variable(kind, name)["allValue"]
        statement = statement.replace(f"${{{name}:sqlstring}}", value)
    if kind == "postgresql":
        between = f"BETWEEN '{view.since:%Y-%m-%dT%H:%M:%SZ}' AND '{view.until:%Y-%m-%dT%H:%M:%SZ}'"
        statement = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 {between}", statement)
        seconds = int(INTERVAL.total_seconds())
        statement = re.sub(
            r"\$__timeGroup\((\w+), \$__interval\)", rf"floor(extract(epoch from \1)/{seconds})*{seconds}", statement
        )
    else:
        times = {"$__interval_ms": INTERVAL.total_seconds(), "$__from": view.since.timestamp()}
        times["$__to"] = view.until.timestamp()
        for name, each in times.items():
            statement = statement.replace(name, str(int(each * 1000)))
    assert "$" not in statement
    return statement


@dataclass(frozen=True, slots=True)
class Loaded:
    """A database of one kind with the log that comes with the program."""

    kind: str
    engine: Engine

    def rows(self, statement: str, view: View) -> list[Row]:
        """Return the rows with numbers as int, and times as seconds since 1970."""
        with self.engine.connect() as connection:
            found = connection.execute(text(interpolated(self.kind, statement, view))).mappings().all()
        return [{name: simple(value) for name, value in row.items()} for row in found]

    def panel(self, title: str, view: View | None = None) -> list[Row]:
        """Return the rows of a panel."""
        return self.rows(target_of(self.kind, title)[STATEMENTS[self.kind]], view or View())


def simple(value: Any) -> Any:
    if isinstance(value, datetime):
        return math.floor(value.timestamp())
    return int(value) if isinstance(value, Decimal) else value


def panel_of(kind: str, title: str) -> dict[str, Any]:
    (found,) = [panel for panel in ATTACKS[kind]["panels"] if panel["title"] == title]
    return dict(found)


def target_of(kind: str, title: str) -> dict[str, Any]:
    (found,) = panel_of(kind, title)["targets"]
    return dict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a reader, with the log that comes with the program."""
    return Folder(tmp_path_factory.mktemp("dashboards"))


@pytest.fixture(scope="module")
def both(server: str, folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Loaded]]:
    """A loaded database of each kind. SQLite's is opened as by the plugin: without its functions, and read-only."""
    file = tmp_path_factory.mktemp("sqlite") / "snapshots.db"
    with ExitStack() as stack:
        url = stack.enter_context(database_on(server, "template0"))
        for database in (str(file), url):
            assert "83 new sessions" in folder.run(f"snapshots load --keep-passwords cowrie-logs --db {database}")
        made = {
            "sqlite": Loaded("sqlite", create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")),
            "postgresql": Loaded("postgresql", create_engine(url)),
        }
        for loaded in made.values():
            stack.callback(loaded.engine.dispose)
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def loaded(request: pytest.FixtureRequest, both: dict[str, Loaded]) -> Loaded:
    return both[request.param]


def test_the_files_are_those_of_the_tool() -> None:
    """To renew them, run tools/build_dashboards.py."""
    for database in build_dashboards.DATABASES:
        assert build_dashboards.file_of(database).read_text() == build_dashboards.text_of(database)


@pytest.mark.parametrize("title", TITLES)
def test_every_panel_shows_rows_with_the_columns_that_it_names(loaded: Loaded, title: str) -> None:
    """In its overrides, its options and its name of a series."""
    panel = panel_of(loaded.kind, title)

    rows = loaded.panel(title)

    assert rows
    named = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
    named |= set(re.findall(r"__field\.labels\.(\w+)", panel["fieldConfig"]["defaults"].get("displayName", "")))
    named |= {panel["options"].get("xField")} - {None}
    assert named <= set(rows[0])


def test_the_series_are_in_the_long_format_of_grafana(loaded: Loaded) -> None:
    """Sorted by a time in seconds, with labels that are never NULL, and one number."""
    rows = loaded.panel("Sessions by IP type and method")

    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert all(BEGIN.timestamp() <= time <= END.timestamp() and time % 60 == 0 for time in times)
    assert {(row["ip_type"], row["method"]) for row in rows} == {
        ("RESIDENTIAL", "asof"),
        ("DATACENTER", "asof"),
        ("none", "asof"),
    }
    assert sum(row["sessions"] for row in rows) == 83


@pytest.mark.parametrize("title", TITLES)
def test_both_databases_show_the_same(both: dict[str, Loaded], title: str) -> None:
    """Whatever the order of rows with equal counts."""
    one, other = (sorted(map(repr, both[kind].panel(title))) for kind in ("sqlite", "postgresql"))

    assert one == other


def test_the_numbers_are_those_of_the_log(loaded: Loaded) -> None:
    """As `snapshots query` prints them."""
    (totals,) = loaded.panel("In this time")
    network, *_ = loaded.panel("Networks at the attack")
    country, *_ = loaded.panel("Countries at the attack")
    newest, *_ = loaded.panel("Newest sessions")
    downloads = loaded.panel("Downloads")

    assert totals == {"sessions": 83, "addresses": 40, "logins": 84, "commands": 37, "downloads": 5}
    assert (network["asn"], network["organization"], network["sessions"]) == (4134, "Chinanet", 64)
    assert (network["asof"], network["inferred"], network["other"]) == (64, 0, 0)
    assert country == {"code": "CN", "asof": 64, "inferred": 0, "other": 0}
    assert newest["time"] == int(datetime(2026, 11, 24, 2, 15, 29, tzinfo=UTC).timestamp())
    assert sum(row["attempts"] for row in loaded.panel("Credentials")) == totals["logins"]
    assert {row["sha256"] is None for row in downloads} == {True, False}


def test_passwords_are_shown_as_text_where_it_is_stored(loaded: Loaded) -> None:
    """The log was loaded with their texts."""
    assert "admin" in {row["password_or_hash"] for row in loaded.panel("Credentials")}


def test_attempts_without_their_credentials_are_no_row(folder: Folder, tmp_path: Path) -> None:
    """Of a session with more pairs than are stored one by one; the row of all others would be the first."""
    event = {"session": "a1", "src_ip": "8.8.8.8", "timestamp": "2026-11-24T01:00:00.000000Z", "username": "root"}
    events = [event | {"eventid": "cowrie.session.connect"}]
    events += [event | {"eventid": "cowrie.login.failed", "password": str(n)} for n in range(1003)]
    (tmp_path / "cowrie.json").write_text("".join(json.dumps(each) + "\n" for each in events))
    folder.run(f"snapshots load -q {tmp_path}/cowrie.json --db {tmp_path}/test.db")

    engine = create_engine(f"sqlite:///{tmp_path}/test.db")
    loaded = Loaded("sqlite", engine)
    assert {row["attempts"] for row in loaded.panel("Credentials")} == {1}
    assert loaded.rows("SELECT sum(attempts) AS attempts FROM v_logins WHERE is_others", View()) == [{"attempts": 3}]
    engine.dispose()


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize(
    "view",
    [
        View(until=datetime(2026, 11, 24, 2, 14, tzinfo=UTC)),
        View(since=datetime(2026, 11, 24, 2, 16, tzinfo=UTC)),
        View(country=["FR"]),
        View(sensor=["o'brien; --"]),
    ],
    ids=["earlier", "later", "country", "sensor"],
)
def test_every_panel_obeys_the_time_range_and_the_variables(loaded: Loaded, title: str, view: View) -> None:
    """Outside of them there is nothing, or zero."""
    rows = loaded.panel(title, view)

    assert [row for row in rows if any(row.values())] == []


def test_several_values_can_be_selected(loaded: Loaded) -> None:
    """And the word for no value is one of them."""
    (totals,) = loaded.panel("In this time", View(country=["DE", "GB", "none"], sensor=["live-sensor-a"]))

    assert totals["sessions"] == 7


@pytest.mark.parametrize(("name", "expected"), [("sensor", "live-sensor-a"), ("country", "CN")])
def test_a_variable_offers_the_values_of_the_database(loaded: Loaded, name: str, expected: str) -> None:
    """In one column, as the plugin for SQLite requires."""
    rows = loaded.rows(variable(loaded.kind, name)["query"], View())

    assert expected in [row[name] for row in rows]
    assert {len(row) for row in rows} == {1}


@pytest.mark.parametrize("title", TITLES)
def test_the_plugin_for_sqlite_can_read_every_time(both: dict[str, Loaded], title: str) -> None:
    """It reads seconds in the columns that the query names, and no text without a zone."""
    rows = both["sqlite"].panel(title)

    target = target_of("sqlite", title)
    times = set(target["timeColumns"]) & set(rows[0])
    assert all(isinstance(row[name], int) for row in rows for name in times)
    assert [value for row in rows for value in row.values() if re.match(r"\d{4}-\d\d-\d\d ", str(value))] == []
    assert target["queryText"] == target["rawQueryText"]


@pytest.mark.parametrize("dashboard", [*ATTACKS.values(), METRICS], ids=lambda each: str(each["uid"]))
def test_panels_have_their_own_number_and_place(dashboard: dict[str, Any]) -> None:
    """Within the 24 columns of a dashboard."""
    panels = dashboard["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_every_dashboard_has_a_provisioned_source_of_its_kind() -> None:
    """Each with an ID of its own, and none with a secret in the file."""
    sources = [each for made in PROVISIONED.values() for each in made.get("datasources", ())]

    asked = {each["templating"]["list"][0]["query"] for each in (*ATTACKS.values(), METRICS)}
    assert {each["type"] for each in sources} == asked
    assert len({each["uid"] for each in sources}) == len({each["name"] for each in sources}) == len(sources)
    secrets = [value for each in sources for value in each.get("secureJsonData", {}).values()]
    assert secrets == ["$SNAPSHOTS_PG_PASSWORD"]


def test_the_compose_file_mounts_what_exists_where_grafana_looks_for_it() -> None:
    """And sets every variable of the sources that it mounts."""
    service = PROVISIONED["compose"]["services"]["grafana"]
    mounts = dict(each.split(":")[:2] for each in service["volumes"] if each.startswith("./"))
    (provider,) = PROVISIONED["provider"]["providers"]

    assert all((FOLDER / source).is_file() for source in mounts)
    dashboards = [target for target in mounts.values() if target.endswith(".json")]
    assert {str(Path(target).parent) for target in dashboards} == {provider["options"]["path"]}
    used = "".join((FOLDER / source).read_text() for source in mounts if "datasources" in source)
    assert set(re.findall(r"\$(SNAPSHOTS_\w+)", used)) <= set(service["environment"])
    assert all(each.startswith("127.0.0.1:") for each in service["ports"])


def test_the_guide_copies_files_that_exist_and_explains_every_variable() -> None:
    """Those of the data sources."""
    guide = Path("docs/how-to/grafana-and-datasette.md").read_text()

    copied = [name for line in re.findall(r"^cp (.*) /", guide, re.MULTILINE) for name in line.split()]
    assert len(copied) == 5
    assert all((FOLDER / name).is_file() for name in copied)
    used = set(re.findall(r"\$(SNAPSHOTS_\w+)", "".join(map(Path.read_text, FOLDER.glob("datasources/*")))))
    assert used == set(re.findall(r"`(SNAPSHOTS_\w+)`", guide))


def test_every_metric_and_label_of_the_dashboard_is_in_the_files(folder: Folder, tmp_path: Path) -> None:
    """The files that `load`, `backfill` and `verify` write."""
    files = [tmp_path / f"{command}.prom" for command in ("load", "backfill", "verify")]
    for file, source in zip(files, ("cowrie-logs", "", ""), strict=True):
        folder.run(f"snapshots {file.stem} {source} --db {tmp_path}/test.db --metrics-file {file}")

    samples = [
        sample
        for file in files
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    ]
    asked = " ".join(target["expr"] for panel in METRICS["panels"] for target in panel["targets"])
    assert set(re.findall(r"snapshots_\w+", asked)) <= {sample.name for sample in samples}
    for name, label, value in re.findall(r'(snapshots_\w+)\{(\w+)="(\w+)"\}', asked):
        assert [each for each in samples if each.name == name and each.labels.get(label) == value]
    legends = [(t["expr"], t["legendFormat"]) for panel in METRICS["panels"] for t in panel["targets"]]
    for expression, legend in legends:
        (name,) = re.findall(r"snapshots_\w+", expression)
        shown = {label for each in samples if each.name == name for label in each.labels}
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= shown
