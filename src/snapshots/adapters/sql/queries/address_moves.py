"""Find the addresses whose network changed between two attacks, in SQL."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from snapshots.adapters.sql.connection.dialects.timestamps import is_timestamp
from snapshots.adapters.sql.queries.query_builder import SessionQuery
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.app.queries.session_queries import Dimension

SESSIONS = session_summaries.c


def moves_of(query: SessionQuery, connection: Connection) -> Select[Any]:
    """Return the query for consecutive attacks with different ASNs; the filter applies to the later attack."""
    asn, method, at = query.part(Dimension.ASN), query.part(Dimension.ASN_METHOD), SESSIONS.first_event_at
    address = SESSIONS.source_ip
    later = select(SESSIONS.session_id, address).where(*query.conditions(), asn.is_not(None)).cte("later")

    def previous(value: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lag(value, type_=value.type).over(partition_by=address, order_by=(at, SESSIONS.session_id))

    # Few addresses were ever in two networks; the attacks of the others are not sorted.
    movers = select(address).where(asn.is_not(None)).group_by(address).having(func.min(asn) != func.max(asn))
    has_later = and_(address.in_(movers), address.in_(select(later.c.source_ip)))
    attacks = (
        select(
            SESSIONS.session_id,
            address.label("address"),
            asn.label("asn"),
            method.label("method"),
            at.label("at"),
            previous(asn).label("before"),
            previous(method).label("before_method"),
            previous(at).label("before_at"),
        )
        .where(has_later, asn.is_not(None), is_timestamp(connection, at))
        .subquery("attacks")
    )
    named = ("address", "asn", "method", "at", "before", "before_method", "before_at")
    moves = select(*(attacks.c[name] for name in named))
    moves = moves.where(attacks.c.session_id.in_(select(later.c.session_id)), attacks.c.before != attacks.c.asn)
    return moves.order_by(attacks.c.at.desc(), attacks.c.session_id.desc())
