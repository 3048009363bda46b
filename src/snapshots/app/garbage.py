"""When unreachable objects are collected."""

GC_THRESHOLDS = (50_000, 20, 20)
"""Thresholds for gc.set_threshold(): a batch allocates many objects and creates no cycles."""
