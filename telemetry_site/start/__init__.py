"""Starts the whole site on one machine: `python -m telemetry_site.start`, that is `make run`.

`run` is the order of events, `prepare` what needs Django (in a process of its own, so that the
supervising process stays small), `supervisor` keeps the processes of the Procfile running.
"""
