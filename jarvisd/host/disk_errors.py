"""What is wrong with the disk, in words, where that is what an exception is about."""

from __future__ import annotations

import errno
import sqlite3

import peewee

FULL = "the disk is full"
_BY_NUMBER = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is larger than this system allows",
    errno.EIO: "the disk fails (input/output error)",
    errno.ELOOP: "a link stands where its folder should be",
    errno.EROFS: "the disk is read-only",
}
#: As SQLite words it. A full disk is an "I/O error" to it where the file is one that it maps into memory.
_BY_WORDS = {"is full": FULL, "disk I/O error": "the disk is full, or fails", "readonly": "the disk is read-only"}


def disk_error(error: BaseException | None) -> str | None:
    """What is wrong with the disk, or None when this is about something else.

    The cause may hide behind another exception: SQLite ends a transaction by itself when the disk is full, and peewee
    then complains that there is none to roll back.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _BY_NUMBER:
            return _BY_NUMBER[error.errno]
        if isinstance(error, peewee.DatabaseError | sqlite3.Error):
            for words, what in _BY_WORDS.items():
                if words in str(error):
                    return what
        error = error.__cause__ or error.__context__
    return None
