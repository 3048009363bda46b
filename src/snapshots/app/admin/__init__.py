"""Corrections, pruning, adoption and copies."""
