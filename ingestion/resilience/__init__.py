"""How we ask other people's servers: politely, patiently, and never in the dark.

One request goes through these, in this order (`client.py` composes, it decides nothing):

    deadline( at most one retry( gate.enter: breaker, then budget -> GET -> classify -> record ) )

- `policy`: what people set: rate, breaker, timeouts, retry. Plain frozen values.
- `gate`: the rate budget of an account and the breaker of a host, shared by all processes.
  `RedisGate` runs one Lua script on the server's clock; `LocalGate` is the same arithmetic in
  memory. Redis gone: nothing may be asked (`GateUnavailable`), a limiter never fails open.
- `classify`: what an attempt came to (`Kind`) and what follows from it, as one table. A breaker
  belongs to a host, a budget to an account, an error to a source: one device's wrong key never
  stops the others, and a 429 never looks like an outage.
- `transport`: one method that sends; over requests, with private addresses blocked at connect
  time, redirects off, a body limit and a deadline over the whole answer.
- `retry`: at most one, after full jitter, with its own slot; retries stay below a tenth of all
  requests. The schedule is the real retry: the next poll asks for everything since the last one.
- `client`: the composition above.

The dispatcher grants slots before work is queued (`Gate.reserve`): workers neither sleep for
the budget nor fail because of it. Nothing here knows Django, Celery or any provider.
"""
