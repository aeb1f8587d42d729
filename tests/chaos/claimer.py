"""`python -m tests.chaos.claimer SOCKET CLAIMS`: one of several dispatchers of the same sources.

It claims by the site's own code, counts each source in and out at a server that knows nothing of
leases, and gives the leases back as a worker does. Prints how often it found a source taken.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence

import django
import redis

BATCH = 25
# So many batches stay claimed while others are claimed.
HELD = 3


def main() -> None:
    django.setup()
    # Models exist only now that Django is configured.
    from tests.chaos.claiming import Dispatcher

    client = redis.Redis(unix_socket_path=sys.argv[1])
    dispatcher, wanted = Dispatcher(), int(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    held: deque[list[tuple[int, int]]] = deque()
    claimed = taken = 0
    while claimed < wanted:
        claims = dispatcher.claim(BATCH)
        claimed += len(claims)
        taken += sum(number > 1 for number in count(client, claims, 1))
        held.append(claims)
        if len(held) > HELD:
            give_back(client, dispatcher, held.popleft())
    for claims in held:
        give_back(client, dispatcher, claims)
    print(claimed, taken, flush=True)


def count(client: redis.Redis, claims: Sequence[tuple[int, int]], step: int) -> list[int]:
    """How many hold each of these sources after this step of ours."""
    with client.pipeline(transaction=False) as pipe:
        for source, _ in claims:
            pipe.hincrby("held", str(source), step)
        return [int(number) for number in pipe.execute()]


def give_back(client: redis.Redis, dispatcher: object, claims: Sequence[tuple[int, int]]) -> None:
    count(client, claims, -1)  # first: from the lease's end on, somebody else may have it
    dispatcher.release(claims)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
