"""Actors of a shop on Redis."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["SHOP_REDIS"]))


@dramatiq.actor(actor_name="ship", max_retries=0)
def ship(order: str) -> None:
    len(order)


@dramatiq.actor(actor_name="fail", max_retries=0)
def fail(order: str) -> None:
    raise ValueError(order)


@dramatiq.actor(actor_name="again", max_retries=1, min_backoff=1, max_backoff=2)
def again(order: str) -> None:
    raise ValueError(order)
