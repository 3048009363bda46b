"""
Build the Grafana dashboards of attacks: one for PostgreSQL and one for SQLite, with the same panels.

Run it after changing a panel or a query: `.venv/bin/python tools/build_dashboards.py`. A test compares its result with
the files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path("docs/monitoring/grafana/dashboards")
DATABASE = "${database}"
"""The variable that names the data source, so that a dashboard works with any name of it."""

UNKNOWN = "none"
"""Shown for NULL, and selectable as a value of a variable; the filters of `snapshots query` use the same word."""

TIME_COLUMNS = ["time", "first_seen", "last_seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """
    What differs between databases.

    Attributes:
        title: Its name.
        plugin: ID of the plugin for its data sources.
        in_range: Whether a session began in the time range of the dashboard.
        bucket: Beginning of the interval in which a session began, in the format of a time column.
        moment: The time {0} in the format of a time column.
    """

    title: str
    plugin: str
    in_range: str
    bucket: str
    moment: str

    @property
    def source(self) -> dict[str, str]:
        """Return the reference to the data source that the variable names."""
        return {"type": self.plugin, "uid": DATABASE}

    def query(self, template: str) -> str:
        """Return a query with the parts of this database."""
        parts = {
            "filter": f"{self.in_range}\n   AND {_selected('sensor')}\n   AND {_selected('country')}",
            "bucket": self.bucket,
            "began": self.moment.format("first_event_at"),
            "last_began": self.moment.format("max(first_event_at)"),
            "first_at": self.moment.format("min(at)"),
            "last_at": self.moment.format("max(at)"),
        }
        return template.strip().format_map(parts)

    def target(self, template: str, *, is_series: bool) -> dict[str, Any]:
        """Return a query in the format of the plugin."""
        query = self.query(template)
        common = {"refId": "A", "datasource": self.source}
        if self is POSTGRESQL:
            shape = "time_series" if is_series else "table"
            return common | {"editorMode": "code", "rawQuery": True, "format": shape, "rawSql": query}
        shape = "time series" if is_series else "table"
        texts = {"rawQueryText": query, "queryText": query}
        return common | {"queryType": shape, "timeColumns": TIME_COLUMNS} | texts


POSTGRESQL = Database(
    title="PostgreSQL",
    plugin="grafana-postgresql-datasource",
    in_range="$__timeFilter(first_event_at)",
    bucket="$__timeGroup(first_event_at, $__interval)",
    moment="{0}",
)
# Without their fraction: strftime rounds it to milliseconds, and so 28.9997 to 29.
_SECONDS = "CAST(strftime('%s', substr({0}, 1, 19)) AS INTEGER)"
SQLITE = Database(
    title="SQLite",
    plugin="frser-sqlite-datasource",
    # Times are texts of one format, so that this comparison uses the index. The macros of the plugin need numbers.
    in_range="first_event_at BETWEEN datetime($__from / 1000, 'unixepoch') AND datetime($__to / 1000, 'unixepoch')",
    bucket=f"{_SECONDS.format('first_event_at')} / ($__interval_ms / 1000) * ($__interval_ms / 1000)",
    moment=_SECONDS,
)
DATABASES = (POSTGRESQL, SQLITE)

TOTALS = """
SELECT count(*) AS sessions, count(DISTINCT source_ip) AS addresses, coalesce(sum(logins), 0) AS logins,
       coalesce(sum(commands), 0) AS commands, coalesce(sum(downloads), 0) AS downloads
  FROM v_sessions
 WHERE {filter}
"""

BY_TYPE = """
SELECT {bucket} AS time,
       coalesce(ip_type, 'none') AS ip_type, coalesce(method, 'none') AS method, count(*) AS sessions
  FROM v_sessions
 WHERE {filter}
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
"""

BY_METHOD = """count(CASE WHEN method = 'asof' THEN 1 END) AS asof,
       count(CASE WHEN method = 'inferred' THEN 1 END) AS inferred,
       count(CASE WHEN method IN ('asof', 'inferred') THEN NULL ELSE 1 END) AS other"""

NETWORKS = f"""
SELECT asn, organization, count(*) AS sessions,
       {BY_METHOD},
       count(DISTINCT source_ip) AS addresses, sum(logins) AS logins, {{last_began}} AS last_seen
  FROM v_sessions
 WHERE {{filter}}
 GROUP BY asn, organization
 ORDER BY sessions DESC, asn
 LIMIT 100
"""  # noqa: S608 - made of our own columns

COUNTRIES = f"""
SELECT coalesce(country, 'none') AS code,
       {BY_METHOD}
  FROM v_sessions
 WHERE {{filter}}
 GROUP BY 1
 ORDER BY count(*) DESC, 1
 LIMIT 20
"""  # noqa: S608 - made of our own columns

NEWEST = """
SELECT {began} AS time, session_id, sensor, source_ip, asn, organization, country, ip_type, method, protocol,
       client, user_name, logins, commands, downloads, duration_ms
  FROM v_sessions
 WHERE {filter}
 ORDER BY first_event_at DESC, session_id DESC
 LIMIT 100
"""

CREDENTIALS = """
SELECT user_name, coalesce(password, password_hash) AS password_or_hash, sum(attempts) AS attempts,
       sum(successes) AS successes, count(DISTINCT session_id) AS sessions, count(DISTINCT source_ip) AS addresses
  FROM v_logins
 WHERE NOT is_others
   AND {filter}
 GROUP BY 1, 2
 ORDER BY 3 DESC, 1, 2
 LIMIT 100
"""

COMMANDS = """
SELECT command, count(DISTINCT session_id) AS sessions, count(DISTINCT source_ip) AS addresses,
       {first_at} AS first_seen, {last_at} AS last_seen
  FROM v_commands
 WHERE session_id IN (
SELECT session_id
  FROM v_sessions
 WHERE {filter})
 GROUP BY command
 ORDER BY 2 DESC, command
 LIMIT 100
"""

DOWNLOADS = """
SELECT sha256, url, count(DISTINCT session_id) AS sessions, count(DISTINCT source_ip) AS addresses,
       {first_at} AS first_seen, {last_at} AS last_seen
  FROM v_downloads
 WHERE session_id IN (
SELECT session_id
  FROM v_sessions
 WHERE {filter})
 GROUP BY sha256, url
 ORDER BY 3 DESC, sha256, url
 LIMIT 100
"""

OF_ATTACKERS = "The texts were chosen by attackers."


def _selected(column: str) -> str:
    return f"coalesce({column}, '{UNKNOWN}') IN (${{{column}:sqlstring}})"


def _variable(database: Database, column: str, label: str) -> dict[str, Any]:
    """Return a variable with the values of a column; its value for All makes the filter true for every row."""
    value = f"coalesce({column}, '{UNKNOWN}')"
    query = f"SELECT DISTINCT {value} AS {column} FROM v_sessions ORDER BY 1"  # noqa: S608 - made of our own columns
    return {
        "name": column,
        "label": label,
        "type": "query",
        "datasource": database.source,
        "query": query,
        "refresh": 1,
        "sort": 0,
        "multi": True,
        "includeAll": True,
        "allValue": value,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _override(column: str, **properties: object) -> dict[str, Any]:
    named = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": "byName", "options": column}, "properties": named}


def _table(title: str, query: str, place: tuple[int, int, int, int], **more: Any) -> dict[str, Any]:
    return {"type": "table", "title": title, "query": query, "place": place, "options": {"showHeader": True}} | more


PANELS: list[Mapping[str, Any]] = [
    {
        "type": "stat",
        "title": "In this time",
        "query": TOTALS,
        "place": (0, 0, 24, 4),
        "options": {
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
            "colorMode": "none",
            "graphMode": "none",
            "textMode": "value_and_name",
        },
    },
    {
        "type": "timeseries",
        "title": "Sessions by IP type and method",
        "description": "asof: the facts were published by the time of the attack. inferred: they were published later.",
        "query": BY_TYPE,
        "place": (0, 4, 24, 9),
        "interval": "1m",
        "maxDataPoints": 120,
        "defaults": {
            "displayName": "${__field.labels.ip_type}, ${__field.labels.method}",
            "custom": {
                "drawStyle": "bars",
                "fillOpacity": 80,
                "lineWidth": 0,
                "stacking": {"mode": "normal", "group": "A"},
            },
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "right", "showLegend": True, "calcs": ["sum"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    },
    _table("Networks at the attack", NETWORKS, (0, 13, 15, 10), overrides=[_override("asn", unit="none")]),
    {
        "type": "barchart",
        "title": "Countries at the attack",
        "query": COUNTRIES,
        "place": (15, 13, 9, 10),
        "options": {
            "xField": "code",
            "orientation": "horizontal",
            "stacking": "normal",
            "showValue": "never",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
    },
    _table(
        "Newest sessions",
        NEWEST,
        (0, 23, 24, 10),
        description=OF_ATTACKERS,
        overrides=[_override("duration_ms", unit="ms", displayName="duration"), _override("asn", unit="none")],
    ),
    _table(
        "Credentials",
        CREDENTIALS,
        (0, 33, 12, 10),
        description=f"The SHA-256 of a password is shown where its text is not stored. {OF_ATTACKERS}",
        overrides=[_override("password_or_hash", displayName="password")],
    ),
    _table("Commands", COMMANDS, (12, 33, 12, 10), description=OF_ATTACKERS),
    _table("Downloads", DOWNLOADS, (0, 43, 24, 10), description=OF_ATTACKERS),
]


def _panel(database: Database, number: int, spec: Mapping[str, Any]) -> dict[str, Any]:
    x, y, width, height = spec["place"]
    kept = {name: spec[name] for name in ("type", "title", "description", "interval", "maxDataPoints") if name in spec}
    return {
        "id": number,
        **kept,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "datasource": database.source,
        "targets": [database.target(spec["query"], is_series=spec["type"] == "timeseries")],
        "fieldConfig": {"defaults": spec.get("defaults", {}), "overrides": spec.get("overrides", [])},
        "options": spec["options"],
    }


def dashboard(database: Database) -> dict[str, Any]:
    """Return the dashboard for a kind of database."""
    source = {"name": "database", "label": "Database", "type": "datasource", "query": database.plugin}
    return {
        "title": f"Attacks ({database.title})",
        "uid": f"snapshots-attacks-{database.title.lower()}",
        "schemaVersion": 39,
        "version": 1,
        "refresh": "",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "utc",
        "tags": ["honeypot"],
        "templating": {
            "list": [source, _variable(database, "sensor", "Sensor"), _variable(database, "country", "Country")]
        },
        "panels": [_panel(database, number, spec) for number, spec in enumerate(PANELS, 1)],
    }


def file_of(database: Database) -> Path:
    """Return the file of a dashboard."""
    return FOLDER / f"attacks-{database.title.lower()}.json"


def text_of(database: Database) -> str:
    """Return the content of the file of a dashboard."""
    return json.dumps(dashboard(database), indent=1) + "\n"


def main() -> None:
    for database in DATABASES:
        file_of(database).write_text(text_of(database))


if __name__ == "__main__":
    main()
