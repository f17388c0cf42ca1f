"""What can go wrong, as exceptions.

JarvisError                 one clear line: what is wrong, and what to do; exit code 1
├── UsageError              the caller asked for something impossible; exit code 2, nothing was written
│   ├── Ambiguous           a name means several things, which are listed
│   └── PlanError           a plan or another YAML file is wrong: file, line and key are named
├── LedgerError             the database cannot be used as it is
│   ├── OutOfReach          the server of the database does not answer
│   ├── IllegalTransition   a change of status that TRANSITIONS does not allow
│   └── StaleAttempt        a child of an earlier attempt tried to write; its work is refused
└── JobFailed               raised by a job: it could not do its work, for a reason a person understands
"""

from __future__ import annotations

from pathlib import Path


class JarvisError(Exception):
    """An error in one line: what is wrong, and in `remedy` what the reader can do about it."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        what = self.what.rstrip(".")
        return f"{what}. {self.remedy}" if self.remedy else what


class UsageError(JarvisError):
    """Wrong use: refused before anything was written."""

    exit_code = 2


class Ambiguous(UsageError):
    """A name that means several things; `choices` lists them, one line each."""

    def __init__(self, what: str, remedy: str, choices: list[str]) -> None:
        super().__init__(what, remedy)
        self.choices = choices


class PlanError(UsageError):
    """A YAML file that cannot be used, with the place that is wrong."""

    def __init__(
        self, what: str, remedy: str = "", *, file: Path | str, line: int | None = None, key: str = ""
    ) -> None:
        place = f"{file}:{line}" if line else str(file)
        super().__init__(f"{place}: {key}: {what}" if key else f"{place}: {what}", remedy)
        self.file, self.line, self.key = file, line, key


class LedgerError(JarvisError):
    """The database cannot be used as it is."""


class OutOfReach(LedgerError):
    """The server of the database does not answer. What was not committed is not stored."""


class IllegalTransition(LedgerError):
    """A change of status that TRANSITIONS does not allow, or of a row that has changed since it was read."""


class StaleAttempt(LedgerError):
    """A write of a child whose attempt is no longer the current one."""


class NotStored(LedgerError):
    """What a child waited to write could not be stored in time."""


class JobFailed(JarvisError):
    """A job could not do its work. Neither `what` nor `remedy` may hold text of a message."""
