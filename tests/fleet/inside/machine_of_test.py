"""What each process of one machine of a history does first: set its clock wrong, and make the fleet's limits short.

`sitecustomize.py` of the machine, which the test writes, calls `apply`: PYTHONPATH reaches the children of the daemon
as well. A Mac that is lost after ten minutes would make a history take hours.
"""

from __future__ import annotations

import datetime as dt
import importlib.machinery
import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

#: Module -> the limits in it that are divided.
LIMITS = {
    "jarvisd.store.machines": ("SILENT_AFTER", "LOST_AFTER"),
    "jarvisd.daemon.heartbeat": ("INTERVAL_S",),
}


def apply(clock: str, hurry: float) -> None:
    """`clock`: a symbolic link whose target says by how many seconds the clock is ahead. `hurry`: the divisor."""
    if os.readlink(clock) != "0":  # noqa: PTH115 - every process imports this, and pathlib takes longer than the rest
        _set_clock(clock)
    if hurry != 1:
        sys.meta_path.insert(0, _Shortener(hurry))


class _Shortener(MetaPathFinder):
    """Finds the modules of LIMITS as Python does, and shortens their limits once they are executed."""

    def __init__(self, hurry: float) -> None:
        self.hurry = hurry

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in LIMITS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_shorten(module: ModuleType) -> None:
            execute(module)
            for limit in LIMITS[name]:
                setattr(module, limit, getattr(module, limit) / self.hurry)

        spec.loader.exec_module = execute_and_shorten  # type: ignore[method-assign]
        return spec


def _set_clock(clock: str) -> None:
    """Replace the clocks that Python code reads. Files keep the times of the kernel."""
    real_time, real = time.time, dt.datetime
    time.time = lambda: real_time() + float(os.readlink(clock))  # noqa: PTH115

    class AnyDateTime(type):
        def __instancecheck__(cls, instance: Any) -> bool:  # what C code makes is of the real class
            return isinstance(instance, real)

    class WrongClock(real, metaclass=AnyDateTime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return real.now(tz) + dt.timedelta(seconds=float(os.readlink(clock)))  # noqa: PTH115

    dt.datetime = WrongClock  # type: ignore[misc]
