"""Facts of this computer: its identity, its memory, its processes, and how to keep it awake.

What only macOS can do sits here and in `launchd.py`. None of the macOS branches was ever run on a Mac by us; they are
tested through programs of the same name on PATH.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jarvisd import files
from jarvisd.home import Home

if TYPE_CHECKING:
    import psutil

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
        return output("sysctl", "-n", "kern.bootsessionuuid")
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def output(*command: str) -> str:
    """Standard output of a system program, or "" where it cannot be had."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def describe() -> dict[str, object]:
    """The computer, as the report's appendix names it."""
    chip = output("sysctl", "-n", "machdep.cpu.brand_string") if MACOS else _cpu_name()
    return {
        "system": f"{platform.system()} {platform.mac_ver()[0] or platform.release()}",
        "architecture": platform.machine(),
        "chip": chip or platform.processor(),
        "cores": os.cpu_count() or 1,
        "memory_mb": total_mb(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def total_mb() -> int:
    """Memory of this computer, in MB."""
    import psutil

    return int(psutil.virtual_memory().total // _MB)


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


def tree_use(pid: int) -> tuple[int, float]:
    """Memory of a process and all below it, in MB, and the CPU seconds that they and their ended children took."""
    import psutil

    from jarvisd import processes

    memory, cpu_s = 0, 0.0
    for process in processes.tree(pid):
        try:
            memory += _memory(process)
            cpu_s += sum(process.cpu_times()[:4])  # user, system, and both of its children that were waited for
        except psutil.Error:
            continue
    return int(memory // _MB), cpu_s


def _memory(process: psutil.Process) -> int:
    """Bytes that go away with a process: shared pages once (PSS) on Linux, the footprint on macOS."""
    if MACOS:
        return footprint(process.pid) or int(process.memory_info().rss)
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.rss)


def footprint(pid: int, library: str = "/usr/lib/libproc.dylib") -> int:
    """What macOS itself holds against a process: compressed pages and the GPU's too, which RSS leaves out. 0: unknown.

    proc_pid_rusage fills a rusage_info_v0 of <sys/resource.h>; ri_phys_footprint is the eighth number behind its uuid.
    """
    import ctypes

    usage = (ctypes.c_uint64 * 12)()  # 16 bytes of uuid, then ten numbers
    try:
        failed = ctypes.CDLL(library).proc_pid_rusage(pid, 0, ctypes.byref(usage))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else int(usage[9])


def most_mb() -> int:
    """What a job may use where nothing else is set: three quarters of the memory, or all of it but 4 GB."""
    total = total_mb()
    return max(total * 3 // 4, total - 4096)


def is_short_of_memory() -> bool:
    """Whether the system itself is about to take memory away from programs."""
    if MACOS:
        return _pressure_level() >= 4  # 1 normal, 2 warning, 4 critical
    import psutil

    memory = psutil.virtual_memory()
    return bool(memory.available * 33 < memory.total)


def _pressure_level() -> int:
    """The level as macOS numbers it, or 0: unknown. Asked every second, so without a process of its own."""
    import ctypes

    level, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    try:
        ask = ctypes.CDLL(None).sysctlbyname
        failed = ask(b"kern.memorystatus_vm_pressure_level", ctypes.byref(level), ctypes.byref(size), None, 0)
    except (OSError, AttributeError):
        return 0
    return 0 if failed else level.value


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


def power() -> tuple[str | None, int | None]:
    """("mains" | "battery" | None where nobody can tell, percent of the battery | None where there is none)."""
    if MACOS:
        said = output("pmset", "-g", "batt")
        source = re.search(r"drawing from '(AC|Battery|UPS) Power'", said)
        charge = re.search(r"(\d+)%", said)
        name = None if source is None else "mains" if source[1] == "AC" else "battery"
        return name, int(charge[1]) if charge else None
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return None, None
    plugged = {True: "mains", False: "battery"}.get(battery.power_plugged)
    return plugged, int(battery.percent)


def wake_command(time: str, weekdays: tuple[str, ...]) -> list[str]:
    """What wakes this Mac two minutes before a time of day. It needs root, and is the owner's to call."""
    letters = dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "MTWRFSU", strict=True))
    minutes = (int(time[:2]) * 60 + int(time[3:]) - 2) % (24 * 60)
    before = "MTWRFSU" if minutes < 24 * 60 - 2 else "UMTWRFS"  # 00:01 is woken for on the day before
    days = [before["MTWRFSU".index(letter)] for day, letter in letters.items() if not weekdays or day in weekdays]
    clock = f"{minutes // 60:02}:{minutes % 60:02}:00"
    return ["sudo", "pmset", "repeat", "wakeorpoweron", "".join(sorted(days, key="MTWRFSU".index)), clock]


def notify(title: str, text: str) -> None:
    """On macOS, show a notification. The words are arguments of the script, never a part of it."""
    if not MACOS:
        return
    script = ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"]
    output("osascript", *(word for line in script for word in ("-e", line)), title, text)


class Awake:
    """Holds off idle sleep on macOS while there is something to do. When our process ends, the hold ends with it."""

    def __init__(self) -> None:
        self._holder: subprocess.Popen[bytes] | None = None

    def hold(self) -> None:
        if not MACOS or (self._holder is not None and self._holder.poll() is None):
            return
        with contextlib.suppress(OSError):  # a night that may fall asleep is better than none
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
