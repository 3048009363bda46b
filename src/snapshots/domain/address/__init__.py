"""Addresses of attackers, and when they were seen."""
