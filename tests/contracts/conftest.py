"""Properties are not timed: the machine that runs them may be busy."""

from hypothesis import settings

settings.register_profile("contracts", deadline=None)
settings.load_profile("contracts")
