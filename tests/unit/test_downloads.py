"""What a download takes of this computer, in figures and in words."""

from __future__ import annotations

import pytest

from jarvisd import words
from jobs.lib.models.transfer import DownloadEstimate, TransferStats

GB = 1_000_000_000


def effort(wanted: int, free: int = 60 * GB, speed: float | None = None) -> DownloadEstimate:
    return DownloadEstimate(bytes=wanted, free=free, kept_free=GB, speed=speed)


def test_a_disk_with_room_says_what_is_left_of_it() -> None:
    needed = effort(13 * GB)
    assert (needed.left, needed.lacking) == (47 * GB, 0)
    assert needed.disk() == "which leaves 47.0 GB of disk"


@pytest.mark.parametrize(("free", "lacking"), [(14 * GB, 0), (14 * GB - 1, 1), (10 * GB, 4 * GB)])
def test_a_disk_without_room_says_how_much_is_lacking_beside_what_is_kept_free(free: int, lacking: int) -> None:
    needed = effort(13 * GB, free=free)
    assert needed.lacking == lacking
    assert ("lacking" in needed.disk()) == bool(lacking)


@pytest.mark.parametrize(
    ("size", "seconds", "message"), [(880_000_000, 58.0, "880 MB at 15 MB/s"), (19_000_000, 1.0, "19 MB")]
)
def test_a_transfer_says_a_speed_only_where_it_tells_one(size: int, seconds: float, message: str) -> None:
    assert str(TransferStats(bytes=size, seconds=seconds)) == message


def test_nothing_to_fetch_needs_no_disk() -> None:
    assert effort(0, free=0).lacking == 0


def test_without_a_measured_speed_no_time_is_named() -> None:
    needed = effort(13 * GB)
    assert needed.seconds is None
    assert needed.time() == "how long is not known: no download was measured yet"


@pytest.mark.parametrize(
    ("speed", "message"),
    [
        (15.4e6, "about 14 min at the 15 MB/s of the last download"),
        (400e6, "less than a minute at the 400 MB/s of the last download"),
        (1.26e6, "about 2.9 h at the 1.3 MB/s of the last download"),
        (0.4e6, "about 9.0 h at the 0.4 MB/s of the last download"),
        (9.97e6, "about 22 min at the 10 MB/s of the last download"),
    ],
)
def test_a_measured_speed_tells_about_how_long(speed: float, message: str) -> None:
    assert effort(13 * GB, speed=speed).time() == message


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "0 MB"), (1, "1 MB"), (92_000_000, "92 MB"), (998_900_000, "999 MB"), (999_100_000, "1.0 GB")],
)
def test_bytes_are_counted_as_disks_count_them(size: int, message: str) -> None:
    assert words.amount(size) == message
