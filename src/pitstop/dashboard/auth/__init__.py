"""Who may look: passwords, sessions, tokens, and how often somebody may try."""

from pitstop.dashboard.auth.keyring import ADMIN, Keyring, Session, keyring_path
from pitstop.dashboard.auth.passwords import generate_password
from pitstop.dashboard.auth.throttle import Throttle

__all__ = ["ADMIN", "Keyring", "Session", "Throttle", "generate_password", "keyring_path"]
