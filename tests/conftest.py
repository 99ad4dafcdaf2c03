"""For all tests. Examples are not timed: on a busy machine that fails tests which have nothing to do with speed."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
