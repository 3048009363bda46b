"""Read the enrichment documents that another loader stored with its addresses."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    literal_column,
    select,
)

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.rows.row_decoder import address_of
from snapshots.app.ports.inventory import Document
from snapshots.domain.address.source_ip import IpAddress


class AddressDocuments:
    """
    Documents in the column `enrichment` of another loader's addresses.

    Args:
        connection: To an adopted database.
        theirs: The table of its addresses.
    """

    def __init__(self, connection: Connection, theirs: Table) -> None:
        self._connection = connection
        self._theirs = theirs

    def page(self, *, after: str, limit: int) -> Sequence[Document]:
        """Return a page of documents, ordered by address."""
        row = self._theirs.c
        query = self._documents_query(self._theirs).where(row.ip_address > after)
        return self._documents(query.order_by(row.ip_address).limit(limit))

    def of_addresses(self, addresses: Collection[IpAddress]) -> Sequence[Document]:
        """Return the documents of these addresses."""
        if not addresses:
            return []
        texts = select_texts(self._connection, [address.text for address in addresses])
        return self._documents(self._documents_query(self._theirs).where(self._theirs.c.ip_address.in_(texts)))

    @staticmethod
    def _documents_query(theirs: Table) -> Select[Any]:
        row = theirs.c
        content: ColumnElement[Any] = literal_column("ip_inventory.enrichment")
        return select(row.ip_address, content, row.enrichment_updated_at, row.created_at)

    def _documents(self, query: Select[Any]) -> Sequence[Document]:
        return [
            Document(address=address, content=_decoded(content), written_at=written_at or created_at)
            for text, content, written_at, created_at in self._connection.execute(query)
            if (address := address_of(text)) is not None
        ]


def _decoded(content: object) -> object:
    """Return a parsed JSON document, which some databases store as text; None if it is not valid JSON."""
    if not isinstance(content, str | bytes):
        return content
    try:
        return json.loads(content)
    except ValueError:
        return None
