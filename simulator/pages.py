"""The one page for people: what this is and which channels it serves."""

from html import escape

from simulator.channels import Channels
from simulator.messages import HTML, Answer

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}"
)


def index(channels: Channels, now: float, *, control: bool) -> Answer:
    """A plain table of the channels with links to their newest entries."""
    lines = []
    for channel in channels:
        facts = channel.facts
        last = channel.last_entry_id(now)
        lines.append(
            f'<tr><td><a href="/channels/{facts.id}/feeds.json?results=2">{facts.id}</a></td>'
            f"<td>{escape(facts.name)}</td><td>{escape(', '.join(facts.labels.values()))}</td>"
            f"<td>{'never reported' if last is None else last}</td>"
            f"<td>{'public' if facts.public else 'private'}</td></tr>"
        )
    more = ""
    if control:
        more = (
            " Faults, clock and journal are under /control (docs/simulator.md);"
            ' <a href="/control/catalogue">catalogue</a>.'
        )
    body = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Simulator</title>'
        f"<style>{_STYLE}</style></head><body><h1>ThingSpeak simulator</h1>"
        "<p>This is not ThingSpeak: it is a local server that answers like it, with generated and"
        f" recorded channels, for demonstration and tests.{more}</p><table><tr><th>Channel</th>"
        "<th>Name</th><th>Fields</th><th>Last entry</th><th>Access</th></tr>"
        f"{''.join(lines)}</table></body></html>"
    )
    return Answer(200, body.encode(), HTML)
