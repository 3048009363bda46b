"""Resolve the input paths of a load on any Hadoop file system, and read their lines."""

import re
from collections.abc import Sequence
from typing import Any

from snapshots.app.errors import NothingToRead
from snapshots.app.ports.log_source import FOLDERS_OF_ATTACKERS

NOT_LOGS = f"/({'|'.join(sorted(FOLDERS_OF_ATTACKERS))})/"

LOCAL = "^file:/+"
"""URLs of local files have one slash in Hadoop and three in Spark."""


def logs_at(spark: Any, paths: Sequence[str], only: str) -> Any:
    """
    Return the lines of logs as a DataFrame with the columns path, block (offset of the file part) and line.

    Args:
        spark: The session.
        paths: Files, folders and patterns. A file that is named directly is read whatever its name.
        only: Glob pattern for the names of logs in folders.

    Raises:
        NothingToRead: A path matches nothing.
    """
    from pyspark.sql import functions as sql  # noqa: PLC0415 - an extra

    files, folders = _named(spark, paths)
    found = []
    if files:
        found.append(_text(spark.read, files))
    for folder, encoded in folders.items():
        below = _text(spark.read.option("recursiveFileLookup", "true").option("pathGlobFilter", only), [folder])
        inside = sql.substring(sql.regexp_replace("path", LOCAL, "file:/"), len(encoded) + 1, 2**20)
        found.append(below.where(~inside.rlike(NOT_LOGS)))
    lines = found[0]
    for more in found[1:]:
        lines = lines.unionAll(more)
    return lines


def _named(spark: Any, paths: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the distinct files, and the folders with the prefix that Spark gives to their files."""
    java = spark.sparkContext._jvm.org.apache.hadoop.fs  # noqa: SLF001 - the way that PySpark's own documentation shows
    settings = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - same reason
    files, folders = list[str](), dict[str, str]()
    for text in paths:
        path = java.Path(text)
        found = path.getFileSystem(settings).globStatus(path)
        if not found:
            raise NothingToRead(f"there is no {text}")
        for status in found:
            found_path = status.getPath()
            if status.isDirectory():
                folders[found_path.toString()] = re.sub(LOCAL, "file:/", found_path.toUri().toString())
            else:
                files.append(found_path.toString())
    return list(dict.fromkeys(files)), folders


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
