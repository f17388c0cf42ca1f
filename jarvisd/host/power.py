"""Mains or battery, keeping the computer awake, and notifications."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from jarvisd.host import linux, mac, machine
from jarvisd.host.machine import _MB


def _platform() -> ModuleType:
    return mac if machine.MACOS else linux


def conditions() -> dict[str, Any]:
    """Conditions that affect a measurement.

    {"power": "mains" | "battery" | None, "low_power_mode": bool | None, "launchd": bool | None, "free_mb", "swap_mb"};
    None where the computer does not say.
    """
    import psutil

    source, _ = power()
    return {
        "power": source,
        "low_power_mode": low_power_mode(),
        "launchd": _platform().is_service(),
        "free_mb": machine.available_mb(),
        "swap_mb": int(psutil.swap_memory().used // _MB),
    }


def power() -> tuple[str | None, int | None]:
    """("mains" | "battery" | None where unknown, percent of the battery | None where there is none)."""
    source: tuple[str | None, int | None] = _platform().power_source()
    return source


def low_power_mode() -> bool | None:
    """Whether the computer saves power at the cost of speed. None where it does not say."""
    mode: bool | None = _platform().low_power_mode()
    return mode


def wake_command(time: str, weekdays: tuple[str, ...]) -> list[str]:
    """The command that makes this Mac wake two minutes before a time of day. It needs root, so the user runs it."""
    letters = dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "MTWRFSU", strict=True))
    minutes = (int(time[:2]) * 60 + int(time[3:]) - 2) % (24 * 60)
    before = "MTWRFSU" if minutes < 24 * 60 - 2 else "UMTWRFS"  # for 00:00 and 00:01 the wake-up lies on the day before
    days = [before["MTWRFSU".index(letter)] for day, letter in letters.items() if not weekdays or day in weekdays]
    clock = f"{minutes // 60:02}:{minutes % 60:02}:00"
    return ["sudo", "pmset", "repeat", "wakeorpoweron", "".join(sorted(days, key="MTWRFSU".index)), clock]


def notify(title: str, text: str, *, opens: Path | None = None) -> None:
    """On macOS, show a notification. The words are arguments of the program, never a part of a script.

    A click opens the file `opens` where terminal-notifier is installed: what osascript shows opens nothing of ours.
    """
    if not machine.MACOS:
        return
    if opens is not None and shutil.which("terminal-notifier"):
        words = ["-title", title, "-message", _message(text), "-open", opens.as_uri(), "-group", title]
        machine.output("terminal-notifier", *words)
        return
    script = ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"]
    machine.output("osascript", *(word for line in script for word in ("-e", line)), title, text)


def _message(text: str) -> str:
    """Text as terminal-notifier takes it: it refuses one that begins with a bracket, a brace or a dash."""
    return f"\u200b{text}" if text[:1] in ("[", "{", "(", '"', "-") else text


class Awake:
    """Prevents idle sleep on macOS while there is something to do, at most until this process ends."""

    def __init__(self) -> None:
        self._holder: subprocess.Popen[bytes] | None = None

    def hold(self) -> None:
        if not machine.MACOS or (self._holder is not None and self._holder.poll() is None):
            return
        with contextlib.suppress(OSError):  # the jobs still run; the Mac may sleep meanwhile
            self._holder = subprocess.Popen(
                ["caffeinate", "-i", "-w", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def release(self) -> None:
        if self._holder is not None:
            self._holder.terminate()
            self._holder.wait()
            self._holder = None
