"""Installs, loads, queries and removes the two agents with launchctl.

Written from launchctl(1) and from reports of other installers; never run on a Mac. docs/macos.md lists what is to be
checked there. The tests put a fake launchctl on PATH.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jarvisd.errors import JarvisError
from jarvisd.host import files, machine
from jarvisd.launchd import agents
from jarvisd.launchd.agents import DAEMON, LABELS, NIGHTLY, PYTHON
from jarvisd.paths import Home
from jarvisd.plan.schedule import Schedule

#: Seconds between attempts to load an agent.
BACKOFF_S = (0.5, 1.0, 2.0, 4.0)
#: What bootstrap answers while the agent's old process ends: 5 from macOS 13 on, 37 before. 5 also means "never".
_NOT_YET = (5, 37)
#: Seconds within which launchd unloads an agent: the ExitTimeOut of its process, and ten more.
UNLOAD_S = 40.0
#: Seconds between two questions whether it has.
ASK_INTERVAL_S = 0.2
#: Seconds for one call of launchctl.
PATIENCE_S = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class AgentProblem:
    """Why an installed agent will not run, and what to do."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


def domain() -> str:
    """launchd's name for the login session of this user, which Full Disk Access and notifications belong to."""
    return f"gui/{os.getuid()}"


def target(label: str) -> str:
    return f"{domain()}/{label}"


def launchctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Call launchctl. A call that hangs, or a missing launchctl, returns exit code 1."""
    command = ["launchctl", *words]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"launchctl: {type(error).__name__}")


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else f"exit code {done.returncode}"


# ------------------------------------------------------------------------------------------------------------ asking


@dataclass(frozen=True)
class Loaded:
    """What `launchctl print` says about an agent. Apple declares that text unstable, so nothing relies on it alone."""

    pid: int | None


def loaded(label: str) -> Loaded | None:
    """The agent as launchd has it loaded, or None."""
    done = launchctl("print", target(label))
    if done.returncode:
        return None
    pid = re.search(r"^\s*pid = (\d+)", done.stdout, flags=re.M)
    return Loaded(int(pid[1]) if pid else None)


def is_disabled(label: str) -> bool:
    """Whether the user has disabled the agent, with launchctl or under Login Items."""
    listing = launchctl("print-disabled", domain()).stdout
    return re.search(rf'"{re.escape(label)}" => (disabled|true)', listing) is not None


def serves(home: Home) -> bool:
    """Whether an agent is installed that runs the daemon of this home."""
    agent = agents.installed(DAEMON) if machine.MACOS else None
    return agent is not None and agents.home_of(agent) == str(home.root)


def is_installed() -> bool:
    return any(agents.file(label).exists() for label in LABELS)


def schedule(home: Home) -> Schedule | None:
    """When the installed nightly agent starts, where it serves this home."""
    agent = agents.installed(NIGHTLY) if machine.MACOS else None
    return agents.schedule_of(agent) if agent and agents.home_of(agent) == str(home.root) else None


def agent_problems(home: Home) -> list[AgentProblem]:
    """Problems of the installed agents, at most one per agent."""
    return [problem for label in LABELS if (problem := _agent_problem(home, label)) is not None]


def _agent_problem(home: Home, label: str) -> AgentProblem | None:
    again = "Run `jarvisctl install`."
    agent = agents.installed(label)
    if agent is None:
        return AgentProblem(f"{label} is not installed", again)
    if not agent.get("ProgramArguments"):
        return AgentProblem(f"{agents.file(label)} was not written by `jarvisctl install`", again)
    if (served := agents.home_of(agent)) != str(home.root):
        return AgentProblem(
            f"{label} serves another home, {served}", f"`jarvisctl install` makes it serve {home.root}."
        )
    if moved := _moved(label, agent):
        return moved
    wanted = agents.schedule_of(agent) if label == NIGHTLY else Schedule()
    if wanted is None or agents.render(home, wanted, agent)[label] != agent:
        return AgentProblem(f"{agents.file(label)} is not what this version would install", again)
    if is_disabled(label):
        return AgentProblem(
            f"{label} is switched off",
            "Allow it in System Settings > General > Login Items & Extensions, then run `jarvisctl install`.",
        )
    return None if loaded(label) else AgentProblem(f"{label} is installed, but launchd has not loaded it", again)


def _moved(label: str, agent: agents.Agent) -> AgentProblem | None:
    """Whether the program of an agent, or the Python behind it, is not where it was at installation."""
    program = Path(agent["ProgramArguments"][0])
    was, now = agent.get("EnvironmentVariables", {}).get(PYTHON), str(agents.python())
    grant = f"Run `jarvisctl install`, then give Full Disk Access to {now}."
    if not program.is_file():
        return AgentProblem(f"{label} starts {program}, which no longer exists", grant)
    if was is not None and was != now:
        return AgentProblem(f"Python has moved from {was} to {now}, and Full Disk Access does not move with it", grant)
    return None


# -------------------------------------------------------------------------------------------- installing and removing


def commands(label: str) -> list[list[str]]:
    """The commands of `install` for one agent, in order. `enable` comes first: launchd does not load a disabled one."""
    steps = [
        ["launchctl", "enable", target(label)],
        ["launchctl", "bootout", target(label)],
        ["launchctl", "bootstrap", domain(), str(agents.file(label))],
    ]
    if label == DAEMON:  # the nightly one must wait for its time
        steps.append(["launchctl", "kickstart", target(label)])
    return [*steps, ["launchctl", "print", target(label)]]


def install(home: Home, when: Schedule, say: Say) -> None:
    """Write, load and check both agents. Where a step fails, everything is put back and the error says so."""
    need_session()
    wanted = agents.render(home, when)
    before = {label: (_content(label), loaded(label) is not None) for label in LABELS}
    try:
        agents.logs().mkdir(mode=0o700, parents=True, exist_ok=True)
        for label, agent in wanted.items():
            _put(label, agents.write(agent))
            load(label)
            say(f"{label}: {agents.file(label)}")
        for label in LABELS:
            if loaded(label) is None:
                raise JarvisError(f"launchd loaded {label}, but does not list it", "Run `jarvisctl doctor`.")
    except BaseException as error:
        left = _undo(before)
        if isinstance(error, JarvisError):
            raise JarvisError(f"{error.what}; {left}", error.remedy) from error
        raise


def need_macos() -> None:
    if not machine.MACOS:
        raise JarvisError(
            "launchd exists only on macOS",
            "`jarvisctl start` runs the daemon here; `jarvisctl install --dry-run` shows what a Mac would get.",
        )


def need_session() -> None:
    """Raises JarvisError where launchd has no session of this user to put an agent into."""
    need_macos()
    if not has_session():
        raise JarvisError(
            f"launchd has no login session for you on this Mac ({domain()})",
            "Log in at the Mac itself and install from there. Over ssh alone macOS loads no agent.",
        )


def has_session() -> bool:
    return launchctl("print", domain()).returncode == 0


def load(label: str) -> None:
    """Load an agent, replacing one of that name."""
    enable, bootout, bootstrap, *more = (step[1:] for step in commands(label))
    launchctl(*enable)
    _unload(label, bootout)
    _bootstrap(label, bootstrap)
    for step in more[:-1]:
        if (done := launchctl(*step)).returncode:
            raise JarvisError(f"launchd does not start {label}: {complaint(done)}", "Run `jarvisctl doctor`.")


def _unload(label: str, words: list[str]) -> None:
    """Have launchd unload an agent, and wait until it has: bootout returns while the process still ends.

    Until then bootstrap fails. Raises JarvisError where the agent stays loaded.
    """
    launchctl(*words)  # fails where nothing is loaded, and where it is being unloaded
    end = time.monotonic() + UNLOAD_S
    while loaded(label) is not None:
        if time.monotonic() >= end:
            raise JarvisError(
                f"launchd has not unloaded {label} within {UNLOAD_S:.0f} s", "Log out and in, then try again."
            )
        time.sleep(ASK_INTERVAL_S)


def _bootstrap(label: str, words: list[str]) -> None:
    for pause_s in (*BACKOFF_S, None):
        done = launchctl(*words)
        if not done.returncode:
            return
        if pause_s is None or done.returncode not in _NOT_YET or is_disabled(label):
            break
        time.sleep(pause_s)
    if is_disabled(label):
        raise JarvisError(
            f"{label} is switched off",
            "Allow it in System Settings > General > Login Items & Extensions, and install again.",
        )
    raise JarvisError(
        f"launchd does not load {label}: {complaint(done)}",
        f"`plutil -lint {agents.file(label)}` checks the file; `log show --last 5m --predicate "
        "'process == \"launchd\"'` says more.",
    )


def _content(label: str) -> bytes | None:
    try:
        return agents.file(label).read_bytes()
    except FileNotFoundError:
        return None


def _put(label: str, content: bytes | None) -> None:
    """Write the agent's file, or remove it. launchd refuses a file that others may write to."""
    if content is None:
        agents.file(label).unlink(missing_ok=True)
        return
    agents.folder().mkdir(parents=True, exist_ok=True)
    files.replace(agents.file(label), content).chmod(0o644)


def _undo(before: dict[str, tuple[bytes | None, bool]]) -> str:
    """Put the files back and load what was loaded before. Returns the result as a clause for the error message."""
    failed = []
    for label, (content, was_loaded) in before.items():
        try:
            _unload(label, ["bootout", target(label)])
            _put(label, content)
            if was_loaded and content is not None:
                _bootstrap(label, ["bootstrap", domain(), str(agents.file(label))])
        except (JarvisError, OSError) as error:
            failed.append(f"{label}: {error}")
    return f"undoing it failed too ({'; '.join(failed)})" if failed else "everything is as it was before"


def uninstall(say: Say) -> bool:
    """Unload and remove both agents. False where there were none."""
    removed = False
    for label in LABELS:
        existed = agents.file(label).exists()
        if loaded(label) is not None:
            existed = True
            _unload(label, ["bootout", target(label)])
        agents.file(label).unlink(missing_ok=True)
        if existed:
            say(f"{label}: removed")
        removed |= existed
    return removed


# ----------------------------------------------------------------------------------------------- starting and stopping


def start() -> None:
    """Start the daemon by launchd; load its agent first where it is not loaded."""
    if loaded(DAEMON) is None:
        load(DAEMON)
    elif (done := launchctl("kickstart", target(DAEMON))).returncode:
        raise JarvisError(f"launchd does not start the daemon: {complaint(done)}", "Run `jarvisctl doctor`.")


def stop() -> None:
    """Ask launchd's daemon to end, even while it waits for the lock. It exits with 0, so launchd leaves it down."""
    launchctl("kill", "SIGTERM", target(DAEMON))
