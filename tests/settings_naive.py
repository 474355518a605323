"""Settings of a project that keeps naive local times, far from UTC."""

from .settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "America/New_York"
