"""`python -m simulator`: serve until Ctrl-C. Exit codes: 0 ended as asked, 2 could not start."""

import argparse
import asyncio
import errno
import ipaddress
import json
import signal
import sys
from pathlib import Path

from simulator.answers import error
from simulator.api import Api
from simulator.channels import Channels
from simulator.clock import Clock
from simulator.control import Control
from simulator.faults import Faults
from simulator.fleet import fleet
from simulator.journal import Journal
from simulator.messages import TEXT, Answer, Request
from simulator.network import DEAD_AFTER_S, network
from simulator.pages import index
from simulator.replay import ReplayError, load_folder
from simulator.server import serve

try:
    import uvloop
except ImportError:  # optional: twice as fast with it, the same without
    uvloop = None  # type: ignore[assignment]


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="A local server that speaks ThingSpeak."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8001,
        help="port to listen on; 0 takes a free one (default 8001)",
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FOLDER", help="serve its *.json and *.csv recordings too"
    )
    parser.add_argument(
        "--fleet",
        metavar="25x10,75x30",
        help="serve so many more channels with an entry every so many seconds",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="remember when the dead sensor fell silent"
    )
    parser.add_argument(
        "--catalogue", action="store_true", help="print the channels as JSON and end"
    )
    parser.add_argument(
        "--control",
        action=argparse.BooleanOptionalAction,
        help="offer /control (default: only on a loopback address)",
    )
    return parser.parse_args()


def dead_since(state: Path | None, clock: Clock) -> float:
    """When the dead sensor fell silent: remembered in the state file, three hours before the first
    start.
    """
    if state and state.exists():
        try:
            return float(json.loads(state.read_text(encoding="utf-8"))["dead_since"])
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{state} is damaged; remove it and start again") from problem
    instant = clock.now() - DEAD_AFTER_S
    if state:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps({"dead_since": instant}), encoding="utf-8")
    return instant


class Application:
    """Which part answers which path."""

    def __init__(self, channels: Channels, clock: Clock, *, control: bool) -> None:
        self.api = Api(channels, clock, Faults(), Journal())
        self._control = Control(self.api) if control else None

    def __call__(self, request: Request) -> Answer:
        """The answer to a request."""
        if request.path.startswith("/channels"):
            return (
                Answer(200, b"", TEXT) if request.method == "OPTIONS" else self.api.answer(request)
            )
        if self._control and request.path.startswith("/control"):
            return self._control.answer(request)
        if request.path == "/" and request.method in {"GET", "HEAD"}:
            return index(self.api.channels, self.api.clock.now(), control=self._control is not None)
        if request.path.startswith("/update"):
            return error(405, "Writing is not offered by this simulator.")
        return error(404)


async def _run(application: Application, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def started(real_port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        print(
            f"Simulator: http://{shown}:{real_port} ({len(application.api.channels)} channels)",
            flush=True,
        )

    await serve(application, host, port, started, stop)


def main() -> int:
    """Start the simulator; returns the exit code."""
    arguments = _arguments()
    clock = Clock()
    try:
        channels = Channels(network(dead_since(arguments.state, clock)))
        for generated in fleet(arguments.fleet) if arguments.fleet else ():
            channels.add(generated)
        if arguments.replay:
            for recorded in load_folder(
                arguments.replay, [channel.facts.id for channel in channels]
            ):
                channels.add(recorded)
    except (ReplayError, OSError, ValueError, KeyError) as problem:
        print(f"Simulator: cannot start: {problem}", file=sys.stderr, flush=True)
        return 2
    if arguments.catalogue:
        print(json.dumps(channels.catalogue(), indent=1, ensure_ascii=False))
        return 0
    if not 0 <= arguments.port <= 65535:
        print(f"Simulator: {arguments.port} is no port number", file=sys.stderr, flush=True)
        return 2
    control = _loopback(arguments.host) if arguments.control is None else arguments.control
    run = _run(Application(channels, clock, control=control), arguments.host, arguments.port)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
            runner.run(run)
    except OSError as problem:
        run.close()
        reason = (
            f"port {arguments.port} is in use"
            if problem.errno == errno.EADDRINUSE
            else str(problem)
        )
        print(
            f"Simulator: cannot listen on {arguments.host}: {reason}", file=sys.stderr, flush=True
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
