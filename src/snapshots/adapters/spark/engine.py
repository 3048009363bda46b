"""A session of Spark: how it is begun, what is sent to its workers, and what its errors mean."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from snapshots.app.errors import NothingToRead, SettingRefused, StoreUnavailable
from snapshots.app.load.cluster import Files

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "5000",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.files.openCostInBytes": "65536",
}
"""What a caller may set otherwise."""

LOCAL = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""What is set where all workers are on this machine."""


@contextmanager
def spark_session(master: str, settings: Mapping[str, str]) -> Iterator[Any]:
    """
    Begin a session, and end it at the end of the block.

    Args:
        master: The cluster, such as "local[2]", "spark://host:7077", "yarn" or "k8s://https://host:443".
        settings: Of Spark, by their names; they come before ours.

    Yields:
        A pyspark.sql.SparkSession.

    Raises:
        SettingRefused: PySpark or Java is not there, or the cluster cannot be reached.
        NothingToRead: There is no such file.
        StoreUnavailable: The work failed.
    """
    try:
        from py4j.protocol import Py4JError, Py4JNetworkError  # noqa: PLC0415 - an extra
        from pyspark.errors import (  # noqa: PLC0415 - likewise
            AnalysisException,
            PySparkException,
            PySparkRuntimeError,
        )
        from pyspark.sql import SparkSession  # noqa: PLC0415 - likewise
    except ImportError as exc:
        raise SettingRefused(f"a fleet needs Spark ({exc}): pip install 'snapshots[spark]', and a Java 17") from exc
    logging.getLogger().addFilter(_is_news)
    is_local = master.startswith("local")
    if is_local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(master).appName("snapshots")
    for name, value in {**SETTINGS, **_quiet(), **(LOCAL if is_local else {}), **settings}.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except (PySparkRuntimeError, Py4JError, RuntimeError) as exc:
        raise SettingRefused(f"Spark cannot begin at {master}: {_first_line(exc)}; it needs a Java 17") from exc
    spark.sparkContext.setLogLevel("ERROR")
    if "spark.sql.shuffle.partitions" not in settings:
        spark.conf.set("spark.sql.shuffle.partitions", str(2 * spark.sparkContext.defaultParallelism))
    try:
        yield spark
    except AnalysisException as exc:
        kind = NothingToRead if "PATH_NOT_FOUND" in str(exc) else StoreUnavailable
        raise kind(f"Spark refuses: {_first_line(exc)}") from exc
    except (PySparkException, Py4JError, Py4JNetworkError) as exc:
        raise StoreUnavailable(f"the work on Spark failed, and may be done again: {_cause(exc)}") from exc
    finally:
        spark.stop()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether something that is logged is not raised as well: what py4j logs is, with a traceback."""
    return record.module not in {"clientserver", "java_gateway"}


def _quiet() -> Mapping[str, str]:
    """Let Java log errors only, from the beginning on, and draw no progress where nobody looks."""
    told = resources.files("snapshots.adapters.spark").joinpath("data", "log4j2.properties")
    return {
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{told}",
        "spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower(),
    }


def send(spark: Any, paths: Sequence[str]) -> Callable[[], Files]:
    """Send files to every worker, once, and return what tells a worker where they are."""
    names = {path: Path(path).resolve().name for path in paths}  # Spark sends what a link leads to
    if len(set(names.values())) < len(names):
        raise SettingRefused(f"files for the workers need names of their own: {', '.join(paths)}")
    for path in paths:
        spark.sparkContext.addFile(path)
    return SentFiles(names)


class SentFiles:
    """
    Tells on a worker where files are that were sent to it.

    Args:
        names: Their names there, by their paths here.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)

    def __call__(self) -> Files:
        """Return their paths on this worker."""
        from pyspark import SparkFiles  # noqa: PLC0415 - an extra

        return {path: SparkFiles.get(name) for path, name in self._names.items()}


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:500]


def _cause(error: BaseException) -> str:
    """Return the last line that says what a worker's Python raised, or else the first."""
    lines = [line.strip() for line in str(error).splitlines()]
    raised = [line for line in lines if line.startswith(("snapshots.", "RuntimeError", "MemoryError", "OSError"))]
    return (raised[-1] if raised else _first_line(error))[:500]
