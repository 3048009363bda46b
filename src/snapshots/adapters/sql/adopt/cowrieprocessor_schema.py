"""Recognize the schema of a cowrieprocessor database, and compute the changes for its adoption."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, column, func, inspect, select, table, text
from sqlalchemy.schema import CreateColumn, CreateTable

from snapshots.adapters.sql.connection.dialects.storage import size_of
from snapshots.adapters.sql.schema.features import LARGEST_INTEGER, empty_value, is_narrow, requires_value
from snapshots.adapters.sql.schema.tables import metadata, session_summaries
from snapshots.app.admin.adoption import Lock, Step
from snapshots.app.errors import StoreUnavailable

VERSIONS = ("15", "16", "17")
"""Supported versions in its table `schema_state`."""

SHARED = (session_summaries.name,)
"""Tables that both programs use; all other tables of ours must be new."""

ASN = "snapshot_asn"

Columns = dict[str, Any]
"""Reflected columns by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    A step and its statements.

    Attributes:
        step: Description of the step.
        statements: SQL, for the transaction of the adoption or of its undo.
    """

    step: Step
    statements: Sequence[str]


@dataclass(frozen=True, slots=True)
class AdoptableSchema:
    """
    A database of cowrieprocessor.

    Attributes:
        version: The version in its `schema_state`.
        columns: The columns of the shared table, as reflected, by table and name.
        indexes: The indexes of the shared table, by table.
        types: The types of its columns, by name.
        changes: Changes that this program requires.
        notes: Warnings for the operator.
    """

    version: str
    columns: Mapping[str, Columns]
    indexes: Mapping[str, Sequence[str]]
    types: Mapping[str, str]
    changes: Sequence[Change] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def recognized(connection: Connection, *, is_adopted: bool, widen: bool) -> AdoptableSchema:
    """
    Inspect a database.

    Args:
        connection: To it.
        is_adopted: Whether our tables may exist already.
        widen: Whether tables may be rewritten.

    Raises:
        StoreUnavailable: It is not a database of cowrieprocessor, its version or schema is not supported, or it has
            rows without a session_id.
    """
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    version = _version(connection, tables)
    ours = {found.name for found in metadata.sorted_tables} - set(SHARED)
    if not is_adopted and tables & ours:
        raise StoreUnavailable(f"the database has tables of its own called {', '.join(sorted(tables & ours))}")
    columns = {
        name: {found["name"]: found for found in inspector.get_columns(name)} for name in SHARED if name in tables
    }
    _check_names(connection, columns[session_summaries.name])
    indexes = {name: [str(found["name"]) for found in inspector.get_indexes(name)] for name in columns}
    notes = [
        f"{name}.{found['name']} requires a value of an unknown type: loading will fail"
        for name in columns
        for found in columns[name].values()
        if found["name"] not in metadata.tables[name].columns
        and requires_value(found)
        and empty_value(found["type"]) is None
    ]
    types = {name: str(found["type"]) for name, found in columns[session_summaries.name].items()}
    changes = list(_changes(connection, tables, columns, notes, widen=widen))
    return AdoptableSchema(version, columns, indexes, types, changes, notes)


def _check_names(connection: Connection, there: Columns) -> None:
    """Refuse rows without a session_id: SQLite allows NULL in a primary key without NOT NULL."""
    if not there["session_id"]["nullable"]:
        return
    nameless = select(func.count()).select_from(session_summaries).where(session_summaries.c.session_id.is_(None))
    if count := connection.execute(nameless).scalar_one():
        raise StoreUnavailable(
            f"session_summaries has rows without a session_id ({count:,}): give each a unique one, or delete them"
        )


def _version(connection: Connection, tables: set[str]) -> str:
    if not {"schema_state", session_summaries.name} <= tables:
        raise StoreUnavailable(
            "this is not a database of cowrieprocessor: it has no tables schema_state and session_summaries"
        )
    state = table("schema_state", column("key"), column("value"))
    found = connection.execute(select(state.c.value).where(state.c.key == "schema_version")).scalar()
    version = str(found).strip('" ')
    if version not in VERSIONS:
        raise StoreUnavailable(
            f"this database of cowrieprocessor has version {version[:20]}; {', '.join(VERSIONS)} can be adopted"
        )
    return version


def _changes(
    connection: Connection, tables: set[str], columns: Mapping[str, Columns], notes: list[str], *, widen: bool
) -> Iterator[Change]:
    is_postgresql = connection.dialect.name == "postgresql"
    if is_postgresql:
        yield from _types_in_an_array(connection, columns[session_summaries.name], widen=widen)
    for ours in metadata.sorted_tables:
        if ours.name not in tables:
            step = Step(what="make the table", table=ours.name, lock=Lock.NONE)
            yield Change(step, [str(CreateTable(ours).compile(dialect=connection.dialect))])
            continue
        there = columns.get(ours.name, ours.columns)
        lacking = [c for c in ours.columns if c.name not in there]
        if lacking:
            yield _add_columns(connection, ours, lacking)
    if is_postgresql:
        yield from _wider_names(connection, columns)
        if is_narrow(columns[session_summaries.name].values(), ASN):
            yield from _wider_numbers(connection, notes, widen=widen)


def _add_columns(connection: Connection, ours: Table, lacking: Sequence[Column[Any]]) -> Change:
    """Add columns that are nullable or have a constant default; PostgreSQL changes only the catalog."""
    definitions = []
    for found in lacking:
        nullable = found.nullable or found.server_default is None
        copy = Column(found.name, found.type, nullable=nullable, server_default=found.server_default)
        Table(ours.name, MetaData(), copy)
        definitions.append(f"ADD COLUMN {CreateColumn(copy).compile(dialect=connection.dialect)}")
    names = ", ".join(found.name for found in lacking)
    step = Step(what=f"add the columns {names}", table=ours.name, lock=Lock.MOMENT)
    together = [", ".join(definitions)] if connection.dialect.name == "postgresql" else definitions
    return Change(step, [f"ALTER TABLE {ours.name} {definition}" for definition in together])


def _wider_names(connection: Connection, columns: Mapping[str, Columns]) -> Iterator[Change]:
    """Widen the honeypot's name to the length in our tables; no rewrite is needed for a VARCHAR."""
    if _dependents(connection, session_summaries.name, "matcher").others:
        return  # for example a view: the column keeps its length
    length = getattr(columns[session_summaries.name]["matcher"]["type"], "length", None)
    wanted = getattr(session_summaries.c.matcher.type, "length", None)
    if length is not None and length < (wanted or 0):
        step = Step(what=f"let matcher hold {wanted} characters", table=session_summaries.name, lock=Lock.MOMENT)
        yield Change(step, [f"ALTER TABLE session_summaries ALTER COLUMN matcher TYPE VARCHAR({wanted})"])


def _wider_numbers(connection: Connection, notes: list[str], *, widen: bool) -> Iterator[Change]:
    """Widen AS numbers to 64 bits, which rewrites the table, if requested."""
    name = session_summaries.name
    if widen:
        step = Step(what=f"widen {ASN} to 64 bits", table=name, lock=Lock.ALL, bytes=size_of(connection, name))
        yield Change(step, [f"ALTER TABLE {name} ALTER COLUMN {ASN} TYPE BIGINT"])
        return
    consequence = "sessions from networks above AS2147483647 stay open (asn_too_large)"
    if others := _dependents(connection, name, ASN).others:
        consequence += f"; {', '.join(others)} depend on it"
    notes.append(f"{name}.{ASN} has 32 bits: {consequence}, until `adopt --widen`")


def narrowing(connection: Connection, types: Mapping[str, str]) -> tuple[Sequence[Change], Sequence[str]]:
    """
    Return the changes that restore the column types of before the adoption, and notes on types that cannot be restored.

    Args:
        connection: To an adopted database.
        types: The previous types, by column; only those of PostgreSQL were ever changed.
    """
    name = session_summaries.name
    there = {c["name"]: str(c["type"]) for c in inspect(connection).get_columns(name)}
    longest = types.get("matcher", "").partition("(")[2].rstrip(")") or "0"
    conditions = {ASN: f"{ASN} > {LARGEST_INTEGER}", "matcher": f"length(matcher) > {longest}"}
    changes, notes = [], []
    for column_, condition in conditions.items():
        was = types.get(column_)
        if connection.dialect.name != "postgresql" or was is None or was == there.get(column_):
            continue
        if _has_values(connection, name, column_, condition):
            notes.append(f"{name}.{column_} stays {there[column_]}: some values do not fit {was}")
        elif others := _dependents(connection, name, column_).others:
            notes.append(f"{name}.{column_} stays {there[column_]}: {', '.join(others)} depend on it")
        else:
            what = f"restore the type {was} of {column_}"
            step = Step(what=what, table=name, lock=Lock.ALL, bytes=size_of(connection, name))
            changes.append(Change(step, [f"ALTER TABLE {name} ALTER COLUMN {column_} TYPE {was}"]))
    if "snapshot_ip_types" in types and "snapshot_ip_types" not in there:
        notes.append(f"{name}.snapshot_ip_type stays text and is not turned back into snapshot_ip_types")
    return changes, notes


def _types_in_an_array(connection: Connection, there: Columns, *, widen: bool) -> Iterator[Change]:
    """Convert the array of types of an older schema to the text of the newer one, if it has values."""
    if "snapshot_ip_type" in there or "snapshot_ip_types" not in there:
        return
    if not _has_values(connection, session_summaries.name, "snapshot_ip_types", "cardinality(snapshot_ip_types) > 0"):
        return
    dependents = _dependents(connection, session_summaries.name, "snapshot_ip_types")
    if dependents.others or dependents.indexes:
        named = ", ".join((*dependents.others, *dependents.indexes))
        raise StoreUnavailable(f"snapshot_ip_types has values and cannot be converted to text: first drop {named}")
    there["snapshot_ip_type"] = there.pop("snapshot_ip_types")
    size = size_of(connection, session_summaries.name)
    if not widen:
        raise StoreUnavailable(
            "snapshot_ip_types is an array that holds types; `adopt --widen` turns it into the text snapshot_ip_type,"
            f" and keeps readers and writers out while it rewrites {size:,} bytes"
        )
    step = Step(
        what="turn snapshot_ip_types into the text snapshot_ip_type",
        table=session_summaries.name,
        lock=Lock.ALL,
        bytes=size,
    )
    yield Change(
        step,
        [
            "ALTER TABLE session_summaries ALTER COLUMN snapshot_ip_types DROP DEFAULT",
            (
                "ALTER TABLE session_summaries ALTER COLUMN snapshot_ip_types TYPE TEXT"
                " USING NULLIF(array_to_string(snapshot_ip_types, ','), '')"
            ),
            "ALTER TABLE session_summaries RENAME COLUMN snapshot_ip_types TO snapshot_ip_type",
        ],
    )


def _has_values(connection: Connection, name: str, of: str, condition: str = "TRUE") -> bool:
    found = table(name, column(of))
    query = select(found.c[of]).where(found.c[of].is_not(None), text(condition)).limit(1)
    return connection.execute(query).first() is not None


@dataclass(frozen=True, slots=True)
class _Dependents:
    """
    Objects that depend on a column.

    Attributes:
        indexes: Definitions of indexes, including expressions and conditions.
        others: Names of constraints, views and other objects that cannot be rebuilt automatically.
    """

    indexes: Sequence[str]
    others: Sequence[str]


def _dependents(connection: Connection, name: str, of: str) -> _Dependents:
    query = text(
        "SELECT CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(d.objid) END AS definition,"
        " pg_describe_object(d.classid, d.objid, d.objsubid) AS what"
        " FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
        " LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid"
        " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table) AND a.attname = :column"
        " AND d.deptype IN ('n', 'a') AND d.classid NOT IN ('pg_attrdef'::regclass, 'pg_trigger'::regclass)"
        " ORDER BY 1, 2"
    )
    rows = connection.execute(query, {"table": name, "column": of}).all()
    indexes = dict.fromkeys(row.definition for row in rows if row.definition is not None)
    others = dict.fromkeys(str(row.what) for row in rows if row.definition is None)
    return _Dependents(list(indexes), list(others))
