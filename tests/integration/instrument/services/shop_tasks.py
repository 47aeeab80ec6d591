"""Tasks of a shop for each queue that is supported, their broker named by the environment."""

import os

import redis
from celery import Celery

REDIS_URL = os.environ.get("SHOP_REDIS", "memory://")

celery_app = Celery("shop", broker=REDIS_URL)
celery_app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)


@celery_app.task(name="shop.ship")
def ship(order: str) -> int:
    return len(order)


@celery_app.task(name="shop.counted")
def counted() -> None:
    redis.Redis.from_url(REDIS_URL).incr("counted")


@celery_app.task(name="shop.fail")
def fail(order: str) -> None:
    raise ValueError(order)


@celery_app.task(name="shop.again", bind=True, max_retries=3, default_retry_delay=0)
def again(self: object, order: str) -> None:
    if self.request.retries < 1:  # type: ignore[attr-defined]
        raise self.retry(exc=ValueError(order))  # type: ignore[attr-defined]


@celery_app.task(name="shop.chained")
def chained(order: str) -> None:
    ship.delay(order)


def rq_ship(order: str) -> int:
    return len(order)


def rq_fail(order: str) -> None:
    raise ValueError(order)
