"""Says to the other machines of a shared database that this daemon lives and that its worker loop turns.

A database of one machine gets no heartbeat: its lock file says whether the daemon lives.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import time

from jarvisd import __version__
from jarvisd.operations import machine_facts
from jarvisd.paths import Home
from jarvisd.store import database, machines

_log = logging.getLogger("jarvisd.daemon.heartbeat")

#: Seconds between two heartbeats.
INTERVAL_S = 15.0
#: Seconds between two readings of which models are on this disk: they are fetched while the daemon runs.
FACTS_INTERVAL_S = 300.0


class Heartbeat:
    """The heartbeat of one daemon."""

    def __init__(self, home: Home, machine_id: str) -> None:
        self.home, self.machine_id = home, machine_id
        self._turned = self._beaten = self._described = time.monotonic()

    def start(self) -> None:
        """Store what this machine is."""
        if database.is_shared():
            facts = machine_facts.read(self.home)
            name = machines.register(self.machine_id, machine_facts.called(self.home), __version__, facts)
            _log.info("this machine is called %s; %d models are on its disk", name, len(facts["models"]))

    def turn(self) -> None:
        """The worker loop has turned. Called often, so it only keeps the time."""
        self._turned = time.monotonic()

    def beat_if_due(self) -> bool:
        """Store a heartbeat every INTERVAL_S. Returns whether it did."""
        at = time.monotonic()
        if at - self._beaten < INTERVAL_S or not database.is_shared():
            return False
        facts = None
        if at - self._described >= FACTS_INTERVAL_S:
            self._described, facts = at, machine_facts.read(self.home)
        database.measure_clock()
        turned_at = database.now() - dt.timedelta(seconds=time.monotonic() - self._turned)
        machines.beat(self.machine_id, turned_at, facts)
        self._beaten = at
        return True

    def stop(self) -> None:
        """Say that this daemon ends on purpose. Where that cannot be stored, its machine is shown as silent."""
        self._beaten = math.inf  # the thread that beats may still run, and would store facts that do not say so
        try:
            if database.is_shared():
                machines.stop(self.machine_id)
        except Exception as error:
            if not database.is_database_error(error):
                raise
            _log.warning("that this daemon ends could not be stored: %s", type(error).__name__)
