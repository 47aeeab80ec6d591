"""The one way out: calls to addresses that somebody typed in, which must not reach what is private.

A name is resolved once, every address it has is judged, and the connection is made to the very address that was judged:
a name server that answers differently the second time is never asked a second time. Nothing follows a redirect.
"""

from pitstop.egress.addresses import Allowed, refusal
from pitstop.egress.client import Answer, Client
from pitstop.egress.resolving import Resolver, resolved
from pitstop.model.errors import EgressError, EgressRefusedError

__all__ = [
    "Allowed",
    "Answer",
    "Client",
    "EgressError",
    "EgressRefusedError",
    "Resolver",
    "refusal",
    "resolved",
]
