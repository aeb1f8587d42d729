"""Watching the way in: what was asked, what came of it, how each account does and will do.

- `counts`, `latency`, `status`, `forecast`, `phrases`: pure; what things mean, and how it is said.
- `counting`: minutes and hours of requests, counted from the poll log without touching the polls.
- `facts`, `outages`: what the database and the gate know, in a constant number of questions.
- `snapshot`: all of it at one instant, kept for a second; `scope` is what one person may see of it.
- `edges`: one log line when something goes down, one when it is back.
"""
