"""Which files a user means, on any file system that Hadoop knows, and their lines."""

from collections.abc import Sequence
from typing import Any

from snapshots.app.errors import NothingToRead

NOT_LOGS = "/(downloads|tty)/"
"""Cowrie's folders for what attackers left; a file in them may look like a log, and is theirs."""


def logs_at(spark: Any, paths: Sequence[str], only: str) -> Any:
    """
    Return the lines of logs as a DataFrame: of which file, where the part of it begins, and the line.

    Args:
        spark: The session.
        paths: Files, folders and patterns. A file that is named is read whatever it is called.
        only: How the files of folders are called that are logs.

    Raises:
        NothingToRead: A path names nothing.
    """
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    files, folders = _named(spark, paths)
    found = []
    if files:
        found.append(_text(spark.read, files))
    for folder in folders:
        below = _text(spark.read.option("recursiveFileLookup", "true").option("pathGlobFilter", only), [folder])
        inside = sql.substring("path", len(folder) + 1, 2**20)
        found.append(below.where(~inside.rlike(NOT_LOGS)))
    lines = found[0]
    for more in found[1:]:
        lines = lines.unionAll(more)
    return lines


def _named(spark: Any, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the files and the folders that paths name, each once."""
    java = spark.sparkContext._jvm.org.apache.hadoop.fs  # noqa: SLF001 - the way that PySpark's own documentation shows
    settings = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - likewise
    files, folders = dict[str, None](), dict[str, None]()
    for text in paths:
        path = java.Path(text)
        found = path.getFileSystem(settings).globStatus(path)
        if not found:
            raise NothingToRead(f"there is no {text}")
        for status in found:
            (folders if status.isDirectory() else files)[status.getPath().toString()] = None
    return list(files), list(folders)


def _text(reader: Any, paths: list[str]) -> Any:
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    return (
        reader.option("lineSep", "\n")
        .text(paths)
        .select(
            sql.col("_metadata.file_path").alias("path"),
            sql.col("_metadata.file_block_start").alias("block"),
            sql.col("value").cast("binary").alias("line"),
        )
    )
