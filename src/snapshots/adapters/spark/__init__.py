"""Many machines, by Apache Spark; nothing of it is imported before it is asked for."""
