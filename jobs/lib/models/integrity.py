"""Whether a model on this disk is complete, byte for byte. Standard library only, and no network.

What a file must be is written down when it is fetched, in var/cache/fetched. Of a download by another program the hub's
cache itself says it: each file there is a link to a blob whose name is its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from jarvisd import plugin
from jarvisd.plugin import Home, JarvisError
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry

_CHUNK = 1 << 20  # bytes
_SHA256, _SHA1 = 64, 40  # digits


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a repository, as the hub describes it."""

    path: str
    size: int | None  #: bytes; None where only the hash is known
    digest: str  #: SHA-256 of a large file; SHA-1 of a small one, as git counts it

    def flaw(self, folder: Path) -> str | None:
        """What is wrong with the file of this name below `folder`, or None."""
        file = folder / self.path
        try:
            size = file.stat().st_size
            if self.size not in (None, size):
                return f"{self.path} has {size:,} bytes instead of {self.size:,}"
            return None if digest(file, len(self.digest)) == self.digest else f"{self.path} differs from the hub's"
        except FileNotFoundError:
            return f"{self.path} is missing"
        except OSError as error:
            return f"{self.path} cannot be read ({(error.strerror or type(error).__name__).lower()})"


def digest(file: Path, digits: int) -> str:
    """The hub's hash of a file: SHA-256 or git's SHA-1, told apart by the length of the expected one."""
    hash_ = hashlib.sha256() if digits == _SHA256 else hashlib.sha1(usedforsecurity=False)
    if digits != _SHA256:
        hash_.update(b"blob %d\0" % file.stat().st_size)
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            hash_.update(chunk)
    return hash_.hexdigest()


# ---------------------------------------------------------------------------------------------- what was written down


def _record(home: Home, repo: str, commit: str) -> Path:
    return home.cache / "fetched" / f"{repo.replace('/', '--')}@{commit}.json"


def remember(home: Home, repo: str, commit: str, parts: list[RemoteFile]) -> None:
    """Store the expected size and hash of the files of a repository."""
    text = json.dumps({"repo": repo, "commit": commit, "files": [asdict(part) for part in parts]}, indent=1)
    plugin.replace_file(_record(home, repo, commit), text)


def expected(entry: ModelEntry, folder: Path, home: Home) -> list[RemoteFile]:
    """Expected size and hash of the files of a download; empty if not known."""
    if entry.repo is None:
        return []
    try:
        record = json.loads(_record(home, entry.repo, folder.name).read_text("utf-8"))
        return [
            RemoteFile(path=str(row["path"]), size=row["size"], digest=str(row["digest"])) for row in record["files"]
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return list(_by_links(folder))


def _by_links(folder: Path) -> Iterator[RemoteFile]:
    for file in sorted(folder.rglob("*")):
        if file.is_symlink():
            name = Path(os.readlink(file)).name  # noqa: PTH115 - one step only: a blob may be a link itself
            if len(name) in (_SHA256, _SHA1) and set(name) <= set("0123456789abcdef"):
                yield RemoteFile(path=str(file.relative_to(folder)), size=None, digest=name)


# --------------------------------------------------------------------------------------------------------- the verdict


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of comparing every byte of a model."""

    problems: tuple[str, ...]
    compared: int = 0  #: files whose hash was compared
    bytes: int = 0  #: of all of its files


def examine(entry: ModelEntry, home: Home) -> Verdict:
    """Compare the hash of every file of a model with that of its download."""
    folder = catalogue.locate(entry, home)
    if folder is None:
        return Verdict(problems=(catalogue.problem(entry, home) or f"{entry.name} is not on this disk",))
    parts = expected(entry, folder, home)
    problems = [flaw for part in parts if (flaw := part.flaw(folder))]
    if not problems and (coarse := catalogue.problem(entry, home)):
        problems = [coarse]
    return Verdict(problems=tuple(problems), compared=len(parts), bytes=size_of(folder))


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder; a link counts as what it points to."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def below(path: str) -> str:
    """A file's name as a repository gives it. Raises JarvisError for one that would lie outside."""
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        raise JarvisError(f"the hub lists a file of the name {path!r}", "Nothing of it was fetched.")
    return path
