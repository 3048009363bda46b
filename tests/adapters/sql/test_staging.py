"""Staging tables hold what was put into them."""

from itertools import product

from sqlalchemy import Column, MetaData, String, Table, create_engine, select

from snapshots.adapters.sql.connection.staging import fill_staging, pack_rows

STAGE = Table("stage_texts", MetaData(), Column("text", String), prefixes=["TEMPORARY"])


def test_staged_texts_are_kept(unmigrated_url: str) -> None:
    """Also those with the separators and escapes of PostgreSQL's COPY, alone and next to each other."""
    odd = ["\\", "\t", "\n", "\r", "\r\n", "n", "N", ".", "x", "\x01", "\x7f", "\u2028", "é", "𝄞", '"', "'", ""]
    texts = sorted({"".join(parts) for parts in product(odd, repeat=3)})
    engine = create_engine(unmigrated_url)

    with engine.begin() as connection:
        fill_staging(connection, STAGE, pack_rows(connection, [(text,) for text in [*texts, None]]))
        stored = connection.execute(select(STAGE.c.text)).scalars().all()

    engine.dispose()
    assert stored == [*texts, None]
