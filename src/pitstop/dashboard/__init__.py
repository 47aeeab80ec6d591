"""The pages, the JSON API and the live socket over one store."""

from pitstop.dashboard.app import create_app
from pitstop.dashboard.auth import Keyring
from pitstop.dashboard.mounting import mount
from pitstop.dashboard.serve import run

__all__ = ["Keyring", "create_app", "mount", "run"]
