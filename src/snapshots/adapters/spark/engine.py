"""Start a Spark session, distribute files to its workers, and translate its errors."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from snapshots.app.errors import NothingToRead, PackageMissing, SettingRefused, StoreUnavailable
from snapshots.app.load.cluster import Files
from snapshots.app.pip_install import install_extra

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "5000",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.files.openCostInBytes": "65536",
}
"""Defaults, which --conf overrides."""

LOCAL = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""Additional defaults for a cluster on this machine."""


@contextmanager
def spark_session(master: str, settings: Mapping[str, str]) -> Iterator[Any]:
    """
    Start a session, and stop it at the end of the block.

    Args:
        master: The cluster, such as "local[2]", "spark://host:7077", "yarn" or "k8s://https://host:443".
        settings: Spark settings by name; they override ours.

    Yields:
        A pyspark.sql.SparkSession.

    Raises:
        PackageMissing: PySpark or Java is missing, or the cluster is unreachable.
        NothingToRead: An input path does not exist.
        StoreUnavailable: The job failed.
    """
    try:
        from py4j.protocol import Py4JError, Py4JNetworkError  # noqa: PLC0415 - an extra
        from pyspark.errors import (  # noqa: PLC0415 - an extra
            AnalysisException,
            PySparkException,
            PySparkRuntimeError,
        )
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise PackageMissing(f"fleet needs Java 17 and the extra spark ({exc}): {install_extra('spark')}") from exc
    logging.getLogger().addFilter(_is_not_raised)
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
        raise PackageMissing(f"Spark did not start at {master}: {_first_line(exc)}; is Java 17 installed?") from exc
    spark.sparkContext.setLogLevel("ERROR")
    if "spark.sql.shuffle.partitions" not in settings:
        spark.conf.set("spark.sql.shuffle.partitions", str(2 * spark.sparkContext.defaultParallelism))
    try:
        yield spark
    except AnalysisException as exc:
        kind = NothingToRead if "PATH_NOT_FOUND" in str(exc) else StoreUnavailable
        raise kind(f"Spark refuses: {_first_line(exc)}") from exc
    except (PySparkException, Py4JError, Py4JNetworkError) as exc:
        raise StoreUnavailable(f"the Spark job failed and can be run again: {_cause(exc)}") from exc
    finally:
        spark.stop()


def _is_not_raised(record: logging.LogRecord) -> bool:
    """Drop log records of py4j: it logs each error with a traceback, and raises it too."""
    return record.module not in {"clientserver", "java_gateway"}


def _quiet() -> Mapping[str, str]:
    """Return settings that limit the log of Java to errors, and show progress only on a terminal."""
    properties = resources.files("snapshots.adapters.spark").joinpath("data", "log4j2.properties")
    return {
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{properties}",
        "spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower(),
    }


def send(spark: Any, paths: Sequence[str]) -> Callable[[], Files]:
    """Distribute files to every worker once; return a function that looks up their paths on a worker."""
    names = {path: Path(path).resolve().name for path in paths}  # Spark resolves symbolic links
    if len(set(names.values())) < len(names):
        raise SettingRefused(f"files for the workers need distinct names: {', '.join(paths)}")
    for path in paths:
        spark.sparkContext.addFile(path)
    return SentFiles(names)


class SentFiles:
    """
    Looks up distributed files on a worker.

    Args:
        names: Their names on the workers, by their paths on the driver.
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
    """Return the last line with an exception of a Python worker; the first line if there is none."""
    lines = [line.strip() for line in str(error).splitlines()]
    raised = [line for line in lines if line.startswith(("snapshots.", "RuntimeError", "MemoryError", "OSError"))]
    return (raised[-1] if raised else _first_line(error))[:500]
