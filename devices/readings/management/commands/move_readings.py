"""`manage.py move_readings`: the big tables to another engine, beside the running site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, transaction

from devices.phrases import sentence
from devices.readings.address import Address
from devices.readings.moving import Move, MoveFailed, Progress
from devices.readings.moving.clickhouse import Clickhouse
from devices.readings.moving.database import Database
from devices.readings.moving.move import Pass, writers_held
from devices.readings.moving.pages import Carrier
from devices.readings.store import store_at
from devices.readings.store.clickhouse import Server
from devices.readings.store.newest import hand_over
from devices.readings.store.watermark import rows_are_in

DATABASE = "database"
PASSES = 5
"""So often at most is what was written meanwhile caught up with; the last pass holds writers."""


class Command(BaseCommand):
    """Carries over what differs until the two are equal; can be stopped and started at any time."""

    help = (
        "Move readings, entries as received and rollups to another engine while the site runs. "
        "Stopped and started again it goes on; docs/scale.md tells the whole way."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and whether to switch now."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--to",
            help="clickhouse://user:password@host:8123/database, or “database”; or @FILE, a file "
            "that holds it: other users of this machine see a command's arguments",
        )
        what.add_argument(
            "--here",
            action="store_true",
            help="move nothing: READINGS_URL names the engine that holds the readings already, "
            "under another address than when they were moved there",
        )
        parser.add_argument(
            "--switch",
            action="store_true",
            help="hold all writers, catch up once more, and wait until the site is started anew",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Move, and say what to do next."""
        if options["here"]:
            here = store_at(settings.READINGS_ADDRESS).engine
            with transaction.atomic():
                rows_are_in(here)
            self.stdout.write(f"Readings are written to {here.place}.")
            return
        target = self._address(options["to"])
        if target == settings.READINGS_ADDRESS:
            raise CommandError("The readings are there already: READINGS_URL says so.")
        sides = _carrier(settings.READINGS_ADDRESS), _carrier(target)
        self.stdout.write(f"From {sides[0].name} to {sides[1].name}.")
        way = f"{sides[0].name} → {sides[1].name}"
        try:
            move = Move(*sides, Progress(_file(), way), self._say)
            if options["switch"]:
                self._switch(move, target)
            else:
                self._catch_up(move)
        except (MoveFailed, OperationalError) as error:
            raise CommandError(sentence(str(error))) from error

    def _catch_up(self, move: Move) -> None:
        for number in range(1, PASSES + 1):
            done = move.run()
            self._say_of(number, done)
            if not done.carried and not done.removed:
                break
        self.stdout.write(
            "What is written from now on is caught up with by the last step: run the same with "
            "--switch."
        )

    def _switch(self, move: Move, target: Address | None) -> None:
        books = store_at(None).engine
        with writers_held(books):
            self._say_of(1, move.run())
            hand_over(books, exact=target is not None)
            rows_are_in(store_at(target).engine)
            url = "the address you gave" if target else "nothing (remove it)"
            self.stdout.write(
                f"Both are equal, and nobody writes. Set READINGS_URL to {url}, start the site's "
                "processes anew, then press Enter here: writing goes on."
            )
            self.stdout.flush()
            try:
                input()
            except (EOFError, KeyboardInterrupt):
                raise CommandError(
                    "Nobody pressed Enter (it takes a terminal), and writing goes on. Unless the "
                    "site was started anew with the new READINGS_URL, run --switch again."
                ) from None

    def _say_of(self, number: int, done: Pass) -> None:
        self._say(
            f"Pass {number}: {done.months:,} months compared, {done.carried:,} rows carried over, "
            f"{done.removed:,} taken away; every page was read back and is equal."
        )

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _address(self, text: str) -> Address | None:
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text().strip()
            except OSError as error:
                raise CommandError(f"{text[1:]} cannot be read: {error.strerror}.") from error
        if text == DATABASE:
            return None
        try:
            address = Address.of(text, "--to")
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if address is None:
            raise CommandError("--to names an engine, or “database”.")
        return address


def _carrier(address: Address | None) -> Carrier:
    return Database(store_at(None).engine) if address is None else Clickhouse(Server.of(address))


def _file() -> Path:
    return Path(settings.DATA_DIR) / "move_readings.json"
