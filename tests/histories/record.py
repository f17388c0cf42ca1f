"""What happened: every call of a client with its times and its answer, and every mark of a job's program."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """One call of jarvisctl. Times are ns of the monotonic clock. `code` is None where the client was killed."""

    verb: str
    tag: str  #: of the job that it is about; "" for none
    began: int
    ended: int
    code: int | None
    out: str
    error: str
    attempts: int = 1  #: `--attempts` of an `enqueue`
    exit_status: int = 0  #: what the job's program ends with

    @property
    def is_acknowledged(self) -> bool:
        return self.code == 0

    @property
    def may_have_happened(self) -> bool:
        """A killed client, or one that was refused for an unknown reason, may have done its work before."""
        return self.code is None or self.code == 0


@dataclass(frozen=True)
class Mark:
    event: str  #: S started, E ended, O overlapped another one
    tag: str
    at: int
    token: str = ""  #: of the attempt


@dataclass
class History:
    """All calls and marks of one home; filled by several threads."""

    marks_file: Path
    calls: list[Call] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    most_mb: float = 0.0  #: the daemon's resident memory
    most_files: int = 0  #: its open files
    leftovers: list[str] = field(default_factory=list)  #: processes that were still there at the end
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def fault(self, name: str) -> None:
        with self._lock:
            self.faults[name] = self.faults.get(name, 0) + 1

    def marks(self) -> list[Mark]:
        lines = self.marks_file.read_text().splitlines() if self.marks_file.exists() else []
        fields = [line.split() for line in lines]
        return [Mark(event, tag, int(at), *token) for event, tag, at, *token in fields]
