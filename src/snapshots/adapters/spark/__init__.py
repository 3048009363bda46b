"""Load and backfill on Apache Spark. PySpark is imported only when a job starts."""
