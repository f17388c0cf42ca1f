"""How much does the queue cost: waiting, overhead of a job, ten thousand rows, a daemon that has nothing to do?

python -m benchmarks queue
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks._measure import program
from jarvisd.store import database

BIN = Path(sys.executable).parent
CTL = str(BIN / "jarvisctl")
STARTS = 21
JOBS = 1000
PEER_JOBS = 1000
ROWS, FEW, ROUNDS = 10_000, 10, 5
IDLE_S = 60
WAIT_S = 7200
LONGEST_S = 60
#: pueue needs a daemon of its own, so it is named and not started.
PEERS = ("tsp", "nq", "pueue")


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its modules compiled
    rows = [*_first_lines(), *_many_jobs(), *_long_run(), *_idle()]
    for what, figure, aim in rows:
        print(f"  {what:<58} {figure:>22}   {aim}".rstrip())


# --------------------------------------------------------------------------------------------------- a home, a daemon


@contextmanager
def _home(*, daemon: bool = True) -> Iterator[Path]:
    """An empty home, with a daemon that is up."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if daemon:
            _ctl(home, "start")
        try:
            yield home
        finally:
            _ctl(home, "stop")


def _ctl(home: Path, *words: str) -> str:
    done = subprocess.run([CTL, "--home", str(home), *words], capture_output=True, text=True, check=False)
    return done.stdout


def _plan(home: Path, count: int, *words: str) -> None:
    (home / "config" / "plans").mkdir(parents=True, exist_ok=True)
    run = ", ".join(f"'{word}'" for word in words)
    lines = [f"  - {{run: [{run}], name: n{number}}}" for number in range(count)]
    (home / "config" / "plans" / "many.yaml").write_text("command:\n" + "\n".join(lines) + "\n")


def _rows(home: Path, count: int, number: int) -> None:
    """One run of so many queued jobs, straight into the database: to read a plan of 10,000 programs takes seconds."""
    from jarvisd.paths import Home
    from jarvisd.store import migrations, queue
    from jarvisd.store.models import Job, Run

    migrations.migrate(Home(home, "--home"))
    run = Run(
        id=f"night-many-{number}",
        plan="many",
        night="night",
        created_at=database.now(),
        snapshot={},
        warnings=[],
        number=number,
    )
    params = {"program": ["true"], "cwd": "/", "env": {}}
    jobs = [Job(run=run, name=f"command:{n}", kind="command", place=n, params=params) for n in range(count)]
    queue.submit(run, jobs)
    database.db.close()


# ------------------------------------------------------------------------------------------------------------ waiting


def _first_lines() -> Iterator[tuple[str, str, str]]:
    """From calling `enqueue` to the first line that the program writes."""
    with _home() as home:
        mark = home / "mark"
        enqueue = (CTL, "--home", str(home), "enqueue", "command", "--")
        times = [_until_written(mark, *enqueue, *_toucher(mark)) for _ in _starts()]
        yield "enqueue to the job's first line, idle daemon", _milliseconds(times), "aim: p50 150 ms, p95 400 ms"
        alone = [_until_written(mark, *_toucher(mark)) for _ in _starts()]
        yield "  the same program alone", _milliseconds(alone), ""
    for name, call in _peers():
        with tempfile.TemporaryDirectory() as folder:
            mark = Path(folder) / "mark"
            times = [_until_written(mark, *call, *_toucher(mark), **_place(folder)) for _ in _starts()]
            _stop_peer(name, folder)
            yield f"  by {name}", _milliseconds(times), ""
    for name in PEERS:
        if shutil.which(name) is None:
            yield f"  by {name}", "not installed here", ""


def _starts() -> range:
    return range(STARTS)


def _toucher(mark: Path) -> tuple[str, ...]:
    return "touch", str(mark)


def _until_written(mark: Path, *words: str, **environment: str) -> float:
    """Seconds from the start of this program until the mark is there."""
    mark.unlink(missing_ok=True)
    time.sleep(0.2)  # what follows the last job ends first
    began = time.perf_counter()
    with subprocess.Popen(words, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        while not mark.exists() and time.perf_counter() - began < LONGEST_S:
            time.sleep(0.001)
        return time.perf_counter() - began


def _seconds(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(times):.2f} s ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def _milliseconds(times: list[float]) -> str:
    ordered = sorted(times)
    last = ordered[round(0.95 * (len(ordered) - 1))]
    return f"p50 {statistics.median(times) * 1000:.0f}, p95 {last * 1000:.0f} ms"


# ----------------------------------------------------------------------------------------------------------- many jobs


def _many_jobs() -> Iterator[tuple[str, str, str]]:
    """A plan of no-op commands, from its first job to its last."""
    with _home() as home:
        _plan(home, JOBS, "true")
        began = time.perf_counter()
        _ctl(home, "enqueue", "many")
        stored = time.perf_counter() - began
        _ctl(home, "wait", "--timeout", str(WAIT_S))
        took = time.perf_counter() - began
        settled = _ctl(home, "runs").count(f"{JOBS:,} succeeded") or _ctl(home, "runs")
        yield f"{JOBS:,} no-op commands as one plan: submitted in", f"{stored:.2f} s", ""
        yield f"{JOBS:,} no-op commands: all done in", f"{took:.0f} s", "" if settled == 1 else f"NOT ALL: {settled}"
        began = time.perf_counter()
        for _ in range(50):
            program("true")()
        own = (time.perf_counter() - began) / 50
        overhead = (took - stored) / JOBS - own
        yield "  a job, beyond the program's own time", f"{overhead * 1000:.0f} ms", "aim: 60 ms or less"
    for name, call in _peers():
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            for _ in range(PEER_JOBS):
                program(*call, "true", **_place(folder))()
            done = Path(folder) / "done"
            _until_written(done, *call, *_toucher(done), **_place(folder))
            took = time.perf_counter() - began
            _stop_peer(name, folder)
            yield f"  by {name}: {PEER_JOBS:,} calls and jobs", f"{took:.1f} s", ""


def _peers() -> Iterator[tuple[str, tuple[str, ...]]]:
    """task-spooler and nq, where they are installed; neither stores anything that survives a reboot as pending work."""
    for name in PEERS[:2]:
        if path := shutil.which(name):
            yield name, (path,)


def _place(folder: str) -> dict[str, str]:
    return {"NQDIR": folder, "TMPDIR": folder, "TS_SOCKET": f"{folder}/socket", "TS_MAXFINISHED": "10"}


def _stop_peer(name: str, folder: str) -> None:
    if name == "tsp":
        subprocess.run([name, "-K"], env=os.environ | _place(folder), check=False)


# -------------------------------------------------------------------------------------------------------- many rows


def _long_run() -> Iterator[tuple[str, str, str]]:
    """Each verb on a run of ROWS jobs, and in the same round on one of FEW jobs."""
    times: dict[str, tuple[list[float], list[float]]] = {verb: ([], []) for verb in _VERBS}
    with _home(daemon=False) as long, _home(daemon=False) as short:
        for number in range(1, ROUNDS + 1):
            for which, (home, count) in enumerate(((long, ROWS), (short, FEW))):
                _rows(home, count, number)
                for verb, words in _VERBS.items():
                    times[verb][which].append(_took(home, *words))
    for verb, (many, few) in times.items():
        ratio = statistics.median(first / second for first, second in zip(many, few, strict=True))
        yield f"{verb}, a run of {ROWS:,} jobs, p50", _seconds(many), f"aim: below 1 s; {ratio:.1f} times {FEW} jobs"


#: What is timed, in this order: each leaves the run as the next one needs it.
_VERBS = {
    "status": ("status",),
    "cancel": ("cancel", "latest"),
    "retry": ("retry", "latest"),
    "cancel again": ("cancel", "latest"),
    "prune": ("prune", "--keep", "0", "--yes"),
}


def _took(home: Path, *words: str) -> float:
    began = time.perf_counter()
    subprocess.run([CTL, "--home", str(home), *words], capture_output=True, check=True)
    return time.perf_counter() - began


# ------------------------------------------------------------------------------------------------------ nothing to do


def _idle() -> Iterator[tuple[str, str, str]]:
    with _home() as home:
        _ctl(home, "enqueue", "command", "--", "true")
        _ctl(home, "wait")
        pid = json.loads(_ctl(home, "status", "--json"))["daemon"]["pid"]
        process = psutil.Process(pid)
        time.sleep(2)
        cpu, switches = process.cpu_times(), _switches(process)
        time.sleep(IDLE_S)
        used = sum(process.cpu_times()[:2]) - sum(cpu[:2])
        woken = _switches(process) - switches
        yield f"idle daemon, over {IDLE_S} s: processor", f"{used / IDLE_S:.2%} of a core", "aim: 0.2 % or less"
        yield "idle daemon: wake-ups", f"{woken / IDLE_S:.1f} per second", "aim: 2 or fewer"
        yield "idle daemon: memory", f"{process.memory_info().rss / 2**20:.0f} MB", "aim: below 50 MB"


def _switches(process: psutil.Process) -> int:
    """How often the threads of a process have gone to sleep; elsewhere than on Linux those of its main thread."""
    tasks = Path(f"/proc/{process.pid}/task")
    if not tasks.exists():
        return int(process.num_ctx_switches().voluntary)
    lines = [line for task in tasks.iterdir() for line in (task / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))


if __name__ == "__main__":
    main()
