"""Does the queue on SQLite cost what it cost in 0.1.0?

python -m benchmarks earlier

The version of then is taken from git into a temporary folder, and runs with the libraries of today.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from benchmarks._measure import pairs, ratio_line

ROOT = Path(__file__).resolve().parents[1]
#: The first commit that has all of 0.1.0: 20 minutes after the day that CHANGELOG.md gives for it.
COMMIT = "ba9995e"
STARTS, ROUNDS, ROWS = 21, 5, 10_000
LONGEST_S = 60.0
_SCRIPT = "#!{python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        earlier = _earlier(Path(folder))
        if earlier is None:
            print("  git does not have 0.1.0 here")
            return
        for line in chain(_first_lines(earlier), _many_rows(earlier)):
            print(f"  {line}", flush=True)


def _earlier(folder: Path) -> Path | None:
    """The `jarvisctl` of 0.1.0; None where git does not have it."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder / "code", filter="data")
    venv.create(folder / "venv", symlinks=True)
    places = [folder / "code", *(place for place in sys.path if place.endswith("site-packages"))]
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "earlier.pth").write_text("\n".join(map(str, places)) + "\n")
    for name, module in (("jarvisctl", "jarvisd.cli"), ("jarvisd", "jarvisd.daemon")):
        script = folder / "venv" / "bin" / name
        script.write_text(_SCRIPT.format(python=script.with_name("python"), module=module))
        script.chmod(0o755)
    return folder / "venv" / "bin" / "jarvisctl"


@contextmanager
def _homes(count: int = 2) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / str(number) for number in range(count)]
        for home in homes:
            home.mkdir()
        yield homes


def _now() -> Path:
    return Path(sys.executable).with_name("jarvisctl")


# ------------------------------------------------------------------------------------------------------------ waiting


def _first_lines(earlier: Path) -> Iterator[str]:
    """From calling `enqueue` to what the program writes first, both daemons idle."""
    with _homes() as (home, home_then):
        calls = [_now(), "--home", home], [earlier, "--home", home_then]
        for call in calls:
            subprocess.run([*call, "start"], check=True, capture_output=True)
        try:
            times = pairs(*(_until_written(call, home / "mark") for call in calls), STARTS)
            yield ratio_line("enqueue to the job's first line", times[0], "0.1.0", times[1])
        finally:
            for call in calls:
                subprocess.run([*call, "stop"], check=True, capture_output=True)


def _until_written(call: list[Path | str], mark: Path) -> Callable[[], None]:
    def until() -> None:
        mark.unlink(missing_ok=True)
        words = [*call, "enqueue", "command", "--", "touch", str(mark)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            end = time.monotonic() + LONGEST_S
            while not mark.exists() and time.monotonic() < end:
                time.sleep(0.001)

    return until


# ---------------------------------------------------------------------------------------------------------- many rows


def _many_rows(earlier: Path) -> Iterator[str]:
    """Each verb on runs of ROWS jobs, without a daemon."""
    with _homes() as (home, home_then):
        for place in (home, home_then):
            (place / "config" / "plans").mkdir(parents=True)
            lines = "  - {run: ['true']}\n" * ROWS
            (place / "config" / "plans" / "many.yaml").write_text(f"command:\n{lines}")
        words = {"enqueue": ("enqueue", "many"), "status": ("status",), "cancel": ("cancel", "latest")}
        times: dict[str, tuple[list[float], list[float]]] = {verb: ([], []) for verb in words}
        for _ in range(ROUNDS):
            for verb, call in words.items():
                times[verb][0].append(_took(_now(), home, *call))
                times[verb][1].append(_took(earlier, home_then, *call))
        for verb, (now, then) in times.items():
            yield ratio_line(f"{verb}, a run of {ROWS:,} jobs,", now, "0.1.0", then)


def _took(jarvisctl: Path, home: Path, *words: str) -> float:
    began = time.perf_counter()
    subprocess.run([jarvisctl, "--home", home, *words], capture_output=True, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main()
