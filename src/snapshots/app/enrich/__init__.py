"""Look up facts and write snapshots."""
