"""One of several processes: its callers ask for one cold key at once; how often it was computed is counted in a file.

Arguments: Redis URL, deadline of its calls, key, callers, what computing takes in seconds, file, `threads` or `tasks`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel


def main() -> None:
    url, deadline_s, key, callers, took_s, path, colour = sys.argv[1:]
    level = RedisLevel(url, deadline_s=float(deadline_s))
    cache = Cache(redis=level)
    answers: list[object] = []

    def noted() -> str:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()}\n".encode())
        os.close(file)
        return f"value of {key}"

    def make() -> str:
        value = noted()
        time.sleep(float(took_s))
        return value

    async def amake() -> str:
        value = noted()
        await asyncio.sleep(float(took_s))
        return value

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all begin together
    if colour == "threads":
        threads = [
            threading.Thread(target=lambda: answers.append(cache.get_or_set(key, make))) for _ in range(int(callers))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:

        async def all_() -> None:
            answers.extend(await asyncio.gather(*(cache.aget_or_set(key, amake) for _ in range(int(callers)))))

        asyncio.run(all_())
    assert len(answers) == int(callers), answers
    assert set(answers) == {f"value of {key}"}, set(answers)
    sys.stdout.write("done\n")
    cache.close()


if __name__ == "__main__":
    main()
