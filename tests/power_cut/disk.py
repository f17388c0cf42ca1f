"""A model of a disk: what was flushed lasts; what was not may be lost, kept, kept in part or torn."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.power_cut.trace import Operation

SECTOR = 512


@dataclass
class File:
    """One file by whatever name: its flushed content, and what was written since."""

    flushed: bytes = b""
    pending: list[Operation] = field(default_factory=list)
    position: int = 0

    def now(self) -> bytes:
        return _applied(self.flushed, self.pending)

    def after(self, loss: str, chance: random.Random) -> bytes:
        """Its content after a power cut. `loss`: nothing | unflushed | part | torn."""
        if loss == "unflushed" or not self.pending:
            return self.flushed
        if loss == "nothing":
            return self.now()
        kept = self.pending[: chance.randrange(len(self.pending) + 1)]
        if loss == "part":
            kept = [each for each in self.pending if chance.random() < 0.5]
        elif kept:
            kept = [*kept[:-1], *_torn(kept[-1], chance)]
        return _applied(self.flushed, kept)


def _torn(operation: Operation, chance: random.Random) -> list[Operation]:
    """Some of the sectors of one write."""
    if operation.kind != "write" or operation.offset is None:
        return [operation]
    parts = range(0, len(operation.data), SECTOR)
    return [
        Operation("write", operation.path, operation.data[part : part + SECTOR], operation.offset + part)
        for part in parts
        if chance.random() < 0.5
    ]


def _applied(content: bytes, operations: list[Operation]) -> bytes:
    data = bytearray(content)
    for each in operations:
        if each.kind == "truncate":
            del data[each.size :]
            data.extend(bytes(each.size - len(data)))
        elif each.offset is not None:
            data.extend(bytes(max(0, each.offset - len(data))))
            data[each.offset : each.offset + len(each.data)] = each.data
    return bytes(data)


@dataclass
class Disk:
    """Folders and files below one root, as the operations so far have made them."""

    names: dict[str, File | bytes | None] = field(default_factory=dict)  #: path -> file, link text, None for a folder
    lasting: dict[str, File | bytes | None] = field(default_factory=dict)  #: those whose folder was flushed since

    def do(self, operation: Operation) -> None:
        getattr(self, f"_{operation.kind}")(operation)

    def _open(self, operation: Operation) -> None:
        file = self.names.get(operation.path)
        if "O_CREAT" in operation.flags and operation.path not in self.names:
            file = self.names[operation.path] = File()
        if isinstance(file, File):
            file.position = len(file.now()) if "O_APPEND" in operation.flags else 0
            if "O_TRUNC" in operation.flags:
                file.pending.append(Operation("truncate", operation.path))

    def _write(self, operation: Operation) -> None:
        file = self.names.get(operation.path)
        if isinstance(file, File):
            place = file.position if operation.offset is None else operation.offset
            file.pending.append(Operation("write", operation.path, operation.data, place))
            if operation.offset is None:
                file.position += len(operation.data)

    def _truncate(self, operation: Operation) -> None:
        file = self.names.get(operation.path)
        if isinstance(file, File):
            file.pending.append(operation)

    def _flush(self, operation: Operation) -> None:
        """A file's data and, with it, its own name; a folder's names."""
        entry = self.names.get(operation.path)
        if isinstance(entry, File):
            entry.flushed, entry.pending = entry.now(), []
            return
        inside = {path for path in {*self.names, *self.lasting} if str(Path(path).parent) == operation.path}
        for path in inside:
            if path in self.names:
                self.lasting[path] = self.names[path]
            else:
                self.lasting.pop(path, None)

    def _rename(self, operation: Operation) -> None:
        inside = [path for path in self.names if path == operation.path or path.startswith(f"{operation.path}/")]
        for path in inside:
            self.names[operation.target + path[len(operation.path) :]] = self.names.pop(path)

    def _link(self, operation: Operation) -> None:
        if operation.path in self.names:
            self.names[operation.target] = self.names[operation.path]

    def _unlink(self, operation: Operation) -> None:
        self.names.pop(operation.path, None)

    def _mkdir(self, operation: Operation) -> None:
        self.names[operation.path] = None

    def _symlink(self, operation: Operation) -> None:
        self.names[operation.path] = operation.data

    # -------------------------------------------------------------------------------------------------- power cut

    def cut(self, root: str, folder: Path, loss: str, names: str, chance: random.Random) -> None:
        """Write into `folder` what lies below `root` after a power cut. `names`: kept | lost | some."""
        for path in sorted({*self.names, *self.lasting}):
            table = self._table(names, chance)
            if path not in table or path.endswith("-shm"):
                continue
            entry, place = table[path], folder / path[len(root) :].lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry is None:
                place.mkdir(exist_ok=True)
            elif isinstance(entry, bytes):
                place.symlink_to(entry.decode())
            else:
                place.write_bytes(entry.after(loss, chance))

    def _table(self, names: str, chance: random.Random) -> dict[str, File | bytes | None]:
        kept = names == "kept" or (names == "some" and chance.random() < 0.5)
        return self.names if kept else self.lasting
