"""Facts of this computer: its identity, its memory, its disk and its description.

The macOS branches were never run on a Mac; tests replace the programs that they call by others of the same name.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import uuid
from functools import cache
from pathlib import Path

from jarvisd.host import files
from jarvisd.paths import Home

MACOS = sys.platform == "darwin"
_MB = 1024 * 1024
_IDENTITY = "machine-id"


def identity(home: Home, remembered: str | None = None) -> str:
    """A name for this computer that survives restarts and renames: 32 hex digits, written once into var/machine-id.

    A file that holds anything else, such as an empty one after a full disk, is replaced. `remembered` is the name that
    the file had, where that is known from elsewhere.
    """
    name = known_identity(home)
    if name is not None:
        return name
    folder = os.open(home.var, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # of two processes at once, the second reads the first one's name
        name = known_identity(home)
        if name is None:
            name = remembered if remembered and _is_name(remembered) else uuid.uuid4().hex
            files.replace(home.var / _IDENTITY, f"{name}\n")
    finally:
        os.close(folder)
    return name


def known_identity(home: Home) -> str | None:
    """The name that `identity` wrote, or None where it was never called or the file does not hold a name."""
    try:
        name = (home.var / _IDENTITY).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if _is_name(name) else None


def _is_name(text: str) -> bool:
    return bool(re.fullmatch("[0-9a-f]{32}", text))


@cache
def boot_id() -> str:
    """An identifier of the current boot: a stored process id is valid only within its own boot."""
    if MACOS:
        return output("sysctl", "-n", "kern.bootsessionuuid")
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def output(*command: str) -> str:
    """Standard output of a system program; "" where it is missing or takes longer than 5 s."""
    import subprocess  # late, as shutil below: on Linux `status` starts no program, and it must start fast

    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def describe() -> dict[str, object]:
    """The computer, as the report's appendix names it."""
    import platform  # late: few programs need it

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
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB


def available_mb() -> int:
    """Memory that a new process can have without others being pushed out, in MB."""
    import psutil

    return int(psutil.virtual_memory().available // _MB)


def most_mb() -> int:
    """The default memory limit of a job, in MB: three quarters of the memory, or all but 4 GB if that is more."""
    total = total_mb()
    return max(total * 3 // 4, total - 4096)


def is_short_of_memory() -> bool:
    """Whether the computer is so short of memory that the system may end programs."""
    if MACOS:
        return _pressure_level() >= 4  # 1 normal, 2 warning, 4 critical
    import psutil

    memory = psutil.virtual_memory()
    return bool(memory.available * 33 < memory.total)


def _pressure_level() -> int:
    """The memory pressure as macOS numbers it; 0 where unknown. Read every second, so without starting a program."""
    import ctypes

    level, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    try:
        ask = ctypes.CDLL(None).sysctlbyname
        failed = ask(b"kern.memorystatus_vm_pressure_level", ctypes.byref(level), ctypes.byref(size), None, 0)
    except (OSError, AttributeError):
        return 0
    return 0 if failed else level.value


def free_disk_mb(folder: Path) -> int:
    import shutil

    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // _MB


def open_file(path: Path) -> bool:
    """Open a file with the desktop's program for it. False where there is no desktop."""
    import shutil
    import subprocess

    program = shutil.which("open" if MACOS else "xdg-open")
    graphical = MACOS or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if program is None or not graphical:
        return False
    quiet = subprocess.run(
        [program, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=30
    )
    return quiet.returncode == 0
