"""A part of the report that fails costs none of the others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)
Value = TypeVar("Value")


def attempt(part: str, make: Callable[[], Value], failed: Callable[[Exception], Value]) -> Value:
    """What `make` returns; what `failed` returns where it raises, with a line in the log."""
    try:
        return make()
    except Exception as error:  # any error, because the rest of the report must be written
        log.warning("%s failed: %s", part, place(error))
        return failed(error)


def place(error: BaseException) -> str:
    """Type of an error and the line of code it came from, without its text, which may hold a message."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
