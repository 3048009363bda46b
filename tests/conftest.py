"""Profiles of hypothesis, and what many tests need."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("slow", settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("SNAPSHOTS_HYPOTHESIS", "quick"))
