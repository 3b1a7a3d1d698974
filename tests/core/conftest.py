"""Settle how long the properties of this folder search, and keep their log lines quiet.

`HYPOTHESIS_PROFILE=long` searches some thirty times as long, for a proof before a release.
"""

import logging
import os

from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}

settings.register_profile("short", max_examples=100, **_COMMON)
settings.register_profile("long", max_examples=3000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

logging.getLogger("fillbook.events").setLevel(logging.CRITICAL)
