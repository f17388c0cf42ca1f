"""strace's output as a list of operations on files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: The system calls that change a file or a folder, or make a change last.
CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "symlink", "symlinkat"),
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?$")
_UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HANDLE = re.compile(r"(-?\w+)<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Operation:
    """One change: `kind` is open, write, flush, truncate, rename, link, unlink, mkdir or symlink."""

    kind: str
    path: str
    data: bytes = b""
    offset: int | None = None  #: of a write at a place; None for one at the file's own position
    target: str = ""  #: of a rename or link
    flags: str = ""  #: of an open
    size: int = 0  #: of a truncation


def command(output: Path, program: list[str]) -> list[str]:
    """The command that runs `program` and records it in `output`."""
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", "4194304", "-e", f"trace={','.join(CALLS)}"]
    return ["strace", *options, "-o", str(output), *program]


def operations(lines: Iterable[str], below: str) -> list[Operation]:
    """The successful operations on paths that begin with `below`."""
    made = [_operation(name, words) for name, words, result in _whole(lines) if result >= 0]
    return [each for each in made if each is not None and (each.path.startswith(below))]


def _whole(lines: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Name, arguments and result of each call, put together where another process came between."""
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        if part := _UNFINISHED.match(text):
            begun[part[1]] = part[3]
            continue
        if part := _RESUMED.match(text):
            text = f"{part[1]} {part[2]}({begun.pop(part[1], '')}{part[3]}"
        if call := _LINE.match(text):
            yield call[2], call[3], int(call[4])


def _operation(name: str, words: str) -> Operation | None:
    texts = [_bytes(text) for text in _TEXT.findall(words)]
    handles = [_bytes(path).decode() for _, path in _HANDLE.findall(words)]
    if name in ("write", "pwrite64"):
        offset = int(words.rsplit(", ", 1)[1]) if name == "pwrite64" else None
        return Operation("write", handles[0], texts[0], offset) if handles and texts else None
    if name in ("fsync", "fdatasync"):
        return Operation("flush", handles[0])
    if name == "ftruncate":
        return Operation("truncate", handles[0], size=int(words.rsplit(", ", 1)[1]))
    paths = [str(Path(handles[0] if handles else "/", text.decode())) for text in texts]
    if name == "openat":
        return Operation("open", paths[0], flags=words.split(", ", 2)[2])
    kind = name.removesuffix("2").removesuffix("at").replace("rmdir", "unlink")
    if kind in ("rename", "link"):
        return Operation(kind, paths[0], target=paths[1])
    if kind == "symlink":
        return Operation(kind, str(Path(handles[0] if handles else "/", texts[1].decode())), texts[0])
    return Operation(kind, paths[0])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
