"""What a download needs: bytes, disk space, and time at the speed of the last download.

Each download measures the speed and keeps it in var/. Before the first one no time is estimated.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jarvisd import plugin
from jarvisd.plugin import Home

TELLING_BYTES = 20_000_000  # fewer measure the server's latency rather than the line


@dataclass
class TransferStats:
    """Bytes that were transferred, and the time that took."""

    bytes: int = 0
    seconds: float = 0.0

    def remember(self, home: Home) -> None:
        """Store the speed, if enough bytes were transferred. A failure to store it does not fail the download."""
        if self._tells():
            with suppress(OSError):
                plugin.replace_file(_kept(home), json.dumps({"bytes": self.bytes, "seconds": round(self.seconds, 3)}))

    def __str__(self) -> str:
        return (
            f"{plugin.amount(self.bytes)} at {plugin.rate(self.bytes / self.seconds)}"
            if self._tells()
            else plugin.amount(self.bytes)
        )

    def _tells(self) -> bool:
        return self.bytes >= TELLING_BYTES and self.seconds > 0


def last_speed(home: Home) -> float | None:
    """Bytes per second of the last download that was large enough to tell; None where there was none."""
    try:
        record = json.loads(_kept(home).read_text("utf-8"))
        speed = float(record["bytes"] / record["seconds"])
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
        return None
    return speed if 0 < speed < math.inf else None


def _kept(home: Home) -> Path:
    return home.var / "last_download.json"


@dataclass(frozen=True, kw_only=True)
class DownloadEstimate:
    """Bytes, disk space and time that a download needs."""

    bytes: int
    free: int  #: bytes of the disk that they go to
    kept_free: int  #: bytes of it that the settings want free
    speed: float | None  #: bytes per second of the last download; None before the first

    @property
    def left(self) -> int:
        return self.free - self.bytes

    @property
    def lacking(self) -> int:
        """Bytes to be freed first."""
        return max(0, self.kept_free - self.left) if self.bytes else 0

    @property
    def seconds(self) -> float | None:
        return self.bytes / self.speed if self.speed else None

    def disk(self) -> str:
        if self.lacking:
            kept_free = plugin.amount(self.kept_free)
            return f"for which {plugin.amount(self.lacking)} of disk are lacking ({kept_free} are kept free)"
        return f"which leaves {plugin.amount(self.left)} of disk"

    def time(self) -> str:
        if self.speed is None or self.seconds is None:
            return "how long is not known: no download was measured yet"
        return f"{plugin.lasting(self.seconds)} at the {plugin.rate(self.speed)} of the last download"


def download_estimate(wanted: int, folder: Path, home: Home) -> DownloadEstimate:
    """The estimate for a download of that many bytes into a folder."""
    return DownloadEstimate(
        bytes=wanted,
        free=plugin.free_disk_mb(folder) << 20,
        kept_free=plugin.read_settings(home).disk.keep_free_mb << 20,
        speed=last_speed(home),
    )


# ----------------------------------------------------------------------------------------------------------- in words
