"""Faults of several machines: a closed lid, a server that is restarted, a network that drops, delays or holds up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fleet.macs import Mac
from tests.histories.record import History
from tests.postgres import Cluster


@dataclass
class FleetNemesis:
    """Does harm to machines, to the server and to the ways between them."""

    cluster: Cluster
    macs: list[Mac]
    history: History
    lost_after_s: float
    stop: threading.Event = field(default_factory=threading.Event)

    def harm(self, chance: random.Random) -> None:
        """Each fault once in a random order, then by chance, until it is stopped."""
        names = list(self._faults)
        chance.shuffle(names)
        while not self.stop.wait(chance.uniform(0.5, 5)):
            name = names.pop() if names else chance.choice(list(self._faults))
            self._faults[name](self, chance.choice(self.macs), chance)
            self.history.fault(name)

    def _sleep_past_lost(self, mac: Mac, chance: random.Random) -> None:
        mac.sleep(self.lost_after_s + chance.uniform(1, 6))

    def _sleep_a_little(self, mac: Mac, chance: random.Random) -> None:
        mac.sleep(chance.uniform(0.5, self.lost_after_s))

    def _restart_server(self, _mac: Mac, _chance: random.Random) -> None:
        self._restart("fast")

    def _kill_server(self, _mac: Mac, _chance: random.Random) -> None:
        self._restart("immediate")

    def _restart(self, mode: str) -> None:
        self.cluster.ctl("-l", str(self.cluster.folder / "log"), "-m", mode, "restart")

    def _drop_connections(self, mac: Mac, _chance: random.Random) -> None:
        mac.proxy.drop()

    def _unplug(self, mac: Mac, chance: random.Random) -> None:
        mac.proxy.is_down = True
        mac.proxy.drop()
        time.sleep(chance.uniform(0.5, 6))
        mac.proxy.heal()

    def _delay(self, mac: Mac, chance: random.Random) -> None:
        mac.proxy.delay_s = chance.uniform(0.01, 0.2)
        time.sleep(chance.uniform(2, 8))
        mac.proxy.heal()

    def _hold_up(self, mac: Mac, chance: random.Random) -> None:
        mac.proxy.is_held_up = True
        time.sleep(chance.uniform(0.5, 8))
        if chance.random() < 0.5:
            mac.proxy.drop()
        mac.proxy.heal()

    def _set_clock(self, _mac: Mac, chance: random.Random) -> None:
        """A clock that is wrong is set while the daemon runs: right, and wrong in the other direction."""
        self.macs[-1].set_clock(chance.choice([-600, 0, 600]))

    _faults: dict[str, Callable[[FleetNemesis, Mac, random.Random], None]] = field(
        default_factory=lambda: {
            "sleep past lost": FleetNemesis._sleep_past_lost,
            "sleep a little": FleetNemesis._sleep_a_little,
            "restart server": FleetNemesis._restart_server,
            "kill server": FleetNemesis._kill_server,
            "drop connections": FleetNemesis._drop_connections,
            "unplug": FleetNemesis._unplug,
            "delay": FleetNemesis._delay,
            "hold up": FleetNemesis._hold_up,
            "set clock": FleetNemesis._set_clock,
        }
    )
