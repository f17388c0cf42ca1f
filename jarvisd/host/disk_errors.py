"""What is wrong with the disk, in words, where the operating system says so."""

from __future__ import annotations

import errno

FULL = "the disk is full"
_BY_NUMBER = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is larger than this system allows",
    errno.EIO: "the disk fails (input/output error)",
    errno.ELOOP: "a link stands where its folder should be",
    errno.EROFS: "the disk is read-only",
}


def of_system_call(error: BaseException) -> str | None:
    """What is wrong with the disk, or None when the exception is about something else."""
    return _BY_NUMBER.get(error.errno or 0) if isinstance(error, OSError) else None
