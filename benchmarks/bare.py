"""The limit of polling: a bare aiohttp loop that asks and parses, and does nothing else.

`python -m benchmarks.bare URL REQUESTS` prints the processor seconds that it took: a process of its
own, without Django's objects in its memory.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys

import aiohttp

from benchmarks.provider import YOUNG

OPEN = 40
CHANNELS = 400


async def _ask(url: str, requests: int) -> None:
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=OPEN)) as session:

        async def ask() -> None:
            for number in numbers:
                address = f"{url}/channels/{YOUNG + number % CHANNELS}/feeds.json"
                async with session.get(address, params={"results": "100"}) as answer:
                    json.loads(await answer.read())

        await asyncio.gather(*(ask() for _ in range(OPEN)))


def cpu_s() -> float:
    """Processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bare_s(url: str, requests: int) -> float:
    """Processor seconds per request of a bare loop."""
    command = [sys.executable, "-m", "benchmarks.bare", url, str(requests)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout) / requests


if __name__ == "__main__":
    _url, _requests = sys.argv[1], int(sys.argv[2])
    asyncio.run(_ask(_url, 200))
    _before = cpu_s()
    asyncio.run(_ask(_url, _requests))
    print(cpu_s() - _before)
