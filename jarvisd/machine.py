"""Facts of this computer: its identity, its memory, its processes, and how to keep it awake.

What only macOS can do sits here and in `launchd.py`. None of the macOS branches was ever run on a Mac by us; they are
tested through programs of the same name on PATH.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from jarvisd import files
from jarvisd.home import Home

MACOS = sys.platform == "darwin"
_MB = 1024 * 1024


def identity(home: Home) -> str:
    """A name for this computer that survives restarts and renames: written once into var/machine-id."""
    path = home.var / "machine-id"
    if not path.exists():
        own = files.replace(path.with_name(f".machine-id.{uuid.uuid4().hex}"), uuid.uuid4().hex + "\n")
        with contextlib.suppress(FileExistsError):  # another process was quicker, and its name holds
            os.link(own, path)
        own.unlink()
    return path.read_text().strip()


@cache
def boot_id() -> str:
    """A name for the time since this computer was started: process ids mean nothing in another one."""
    if MACOS:
        return _output("sysctl", "-n", "kern.bootsessionuuid")
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _output(*command: str) -> str:
    """Standard output of a system program, or "" where it cannot be had."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def describe() -> dict[str, object]:
    """The computer, as the report's appendix names it."""
    import psutil

    chip = _output("sysctl", "-n", "machdep.cpu.brand_string") if MACOS else _cpu_name()
    return {
        "system": f"{platform.system()} {platform.mac_ver()[0] or platform.release()}",
        "architecture": platform.machine(),
        "chip": chip or platform.processor(),
        "cores": os.cpu_count() or 1,
        "memory_mb": psutil.virtual_memory().total // _MB,
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def available_mb() -> int:
    """Memory that a new process can have without others being pushed out, in MB."""
    import psutil

    return int(psutil.virtual_memory().available // _MB)


def conditions() -> dict[str, Any]:
    """What a measurement may depend on: {"power": "mains" | "battery" | None, "free_mb", "swap_mb"}."""
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    power = None if battery is None or battery.power_plugged is None else battery.power_plugged
    return {
        "power": None if power is None else "mains" if power else "battery",
        "free_mb": available_mb(),
        "swap_mb": int(psutil.swap_memory().used // _MB),
    }


def tree_memory_mb(pid: int) -> int:
    """Resident memory of a process and all below it, in MB: shared pages once (PSS) where the system tells."""
    import psutil

    total = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in tree:
        try:
            info = process.memory_info() if MACOS else process.memory_full_info()
            total += getattr(info, "pss", 0) or info.rss
        except psutil.Error:
            continue
    return int(total // _MB)


def free_disk_mb(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // _MB


def openblas() -> Path | None:
    """Debian's OpenBLAS, which makes MLX about 17 times faster on Linux when the child preloads it."""
    if MACOS:
        return None
    found = Path("/usr/lib").glob("*/openblas-pthread/libblas.so.3")
    return next(iter(sorted(found)), None)


def keep_awake(pid: int) -> subprocess.Popen[bytes] | None:
    """On macOS, hold off idle sleep while the process `pid` lives."""
    if not MACOS or not (program := shutil.which("caffeinate")):
        return None
    try:
        return subprocess.Popen(
            [program, "-i", "-w", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:  # a night that may fall asleep is better than none
        return None


def open_file(path: Path) -> bool:
    """Show a file with the program the user's desktop has for it. False on a bare terminal."""
    program = shutil.which("open" if MACOS else "xdg-open")
    graphical = MACOS or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if program is None or not graphical:
        return False
    quiet = subprocess.run(
        [program, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=30
    )
    return quiet.returncode == 0
