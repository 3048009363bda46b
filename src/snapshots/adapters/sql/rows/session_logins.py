"""Store login attempts by session and credentials, in SQL."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Column, Connection, Table, delete, func, select, true, tuple_

from snapshots.adapters.sql.connection.dialects.statements import insert, select_texts
from snapshots.adapters.sql.connection.staging import fill_staging, pack_rows, staging_table_for
from snapshots.adapters.sql.rows.fingerprints import LARGEST_IN_ROW
from snapshots.adapters.sql.schema.tables import credentials, passwords, session_logins
from snapshots.domain.session.logins import (
    MOST_CREDENTIALS,
    OTHERS,
    Credentials,
    LoginCounts,
    StoredLogin,
    credentials_in,
)

LOGINS = session_logins.c
STAGING = {table: staging_table_for(table) for table in (session_logins, credentials, passwords)}


class NewLogins(Protocol):
    """A session with login attempts that are not stored yet, such as a `SessionSummary`."""

    @property
    def session_id(self) -> str:
        """Return the session's name in the store."""
        ...

    @property
    def new_logins(self) -> LoginCounts:
        """Return the attempts."""
        ...

    @property
    def fingerprint_count(self) -> int:
        """Return the number of its events, or `LARGEST_IN_ROW` or more if it has more events."""
        ...


class SqlSessionLogins:
    """Rows of `session_logins`, `credentials` and `passwords`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, sessions: Collection[NewLogins]) -> None:
        """Add the login attempts of sessions that are not stored yet to the stored ones."""
        tried: dict[int, Credentials] = {}
        tallies: dict[tuple[str, int], tuple[int, int]] = {}
        for session in sessions:
            _add_up(session.session_id, session.new_logins, tried, tallies)
        if not tallies:
            return
        known = [(each.number, each.username, each.password_hash) for each in tried.values() if each.number != OTHERS]
        texts = {each.password_hash: each.password for each in tried.values() if each.password is not None}
        self._insert(credentials, sorted(known))
        self._insert(passwords, sorted(texts.items(), key=str))
        self._insert(session_logins, [(*key, *tally) for key, tally in sorted(tallies.items())])
        # Only a session with that many events can have too many credentials.
        self._bound(
            [each.session_id for each in sessions if each.new_logins and each.fingerprint_count >= LARGEST_IN_ROW]
        )

    def _insert(self, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert rows; of those that exist, counts are added."""
        if not rows:
            return
        stage = STAGING[table]
        fill_staging(self._connection, stage, pack_rows(self._connection, rows))
        statement = insert(self._connection, table).from_select(table.columns.keys(), select(stage).where(true()))
        keys = [column.name for column in table.primary_key]
        if table is session_logins:
            sums = {name: LOGINS[name] + statement.excluded[name] for name in ("attempts", "successes")}
            self._connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums))
        else:
            self._connection.execute(statement.on_conflict_do_nothing())

    def _bound(self, names: Collection[str]) -> None:
        """
        Move the attempts of all but the smallest MOST_CREDENTIALS numbers of each session to OTHERS.

        Of the moved credentials, those that no other session has tried are deleted.
        """
        if not names:
            return
        own = (LOGINS.session_id.in_(select_texts(self._connection, names)), LOGINS.credentials_number != OTHERS)
        crowded = select(LOGINS.session_id).where(*own).group_by(LOGINS.session_id)
        found = self._connection.execute(crowded.having(func.count() > MOST_CREDENTIALS)).scalars().all()
        if not found:
            return
        place = func.row_number().over(partition_by=LOGINS.session_id, order_by=LOGINS.credentials_number)
        own = (LOGINS.session_id.in_(select_texts(self._connection, found)), LOGINS.credentials_number != OTHERS)
        ranked = select(session_logins, place.label("place")).where(*own).subquery("ranked")
        left_out = ranked.c.place > MOST_CREDENTIALS
        sums = (func.sum(ranked.c.attempts), func.sum(ranked.c.successes))
        others = select(ranked.c.session_id, func.min(OTHERS), *sums).where(left_out).group_by(ranked.c.session_id)
        rows = [tuple(row) for row in self._connection.execute(others.order_by(ranked.c.session_id))]
        stage = STAGING[credentials]
        fill_staging(self._connection, stage)
        moved = credentials.c.credentials_number.in_(select(ranked.c.credentials_number).where(left_out))
        self._connection.execute(stage.insert().from_select(stage.columns.keys(), select(credentials).where(moved)))
        key = tuple_(LOGINS.session_id, LOGINS.credentials_number)
        self._connection.execute(
            delete(session_logins).where(
                key.in_(select(ranked.c.session_id, ranked.c.credentials_number).where(left_out))
            )
        )
        self._insert(session_logins, [(name, int(other), int(all_), int(won)) for name, other, all_, won in rows])
        self._delete_unused(stage.c.credentials_number, stage.c.password_hash)

    def delete_unused(self) -> None:
        """Delete credentials that no session has tried, and passwords of none of the credentials."""
        self._delete_unused(credentials.c.credentials_number, passwords.c.password_hash)

    def _delete_unused(self, numbers: Column[int], hashes: Column[str]) -> None:
        """Delete those among some credentials that no session has tried, and passwords of none of the credentials."""
        untried = select(numbers).except_(select(LOGINS.credentials_number))
        self._connection.execute(delete(credentials).where(credentials.c.credentials_number.in_(untried)))
        unused = select(hashes).except_(select(credentials.c.password_hash))
        self._connection.execute(delete(passwords).where(passwords.c.password_hash.in_(unused)))

    def of(self, names: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        """Return the login attempts of sessions, the most frequent credentials first."""
        query = (
            select(
                LOGINS.session_id,
                LOGINS.credentials_number,
                credentials.c.username,
                credentials.c.password_hash,
                passwords.c.password,
                LOGINS.attempts,
                LOGINS.successes,
            )
            .join(credentials, credentials.c.credentials_number == LOGINS.credentials_number, isouter=True)
            .join(passwords, passwords.c.password_hash == credentials.c.password_hash, isouter=True)
            .where(LOGINS.session_id.in_(select_texts(self._connection, names)))
            .order_by(LOGINS.session_id, LOGINS.attempts.desc(), LOGINS.credentials_number)
        )
        found: defaultdict[str, list[StoredLogin]] = defaultdict(list)
        for name, number, username, password_hash, password, attempts, successes in self._connection.execute(query):
            is_others = number == OTHERS
            found[name].append(StoredLogin(username, password_hash, password, attempts, successes, is_others))
        return found


def _add_up(
    name: str,
    counts: LoginCounts,
    tried: dict[int, Credentials],
    tallies: dict[tuple[str, int], tuple[int, int]],
) -> None:
    for text, attempts, successes in counts:
        each = credentials_in(text)
        if each.number not in tried or each.password is not None:
            tried[each.number] = each
        before, won = tallies.get((name, each.number), (0, 0))
        tallies[name, each.number] = (before + attempts, won + successes)
