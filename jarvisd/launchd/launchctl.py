"""launchctl: the two agents are put into ~/Library/LaunchAgents, loaded, asked about and removed.

Written from launchctl(1) and from what other installers met; never run on a Mac by us. docs/macos.md says line by line
what that leaves to be checked. The tests stand in with a launchctl of their own on PATH.
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

#: Error 5 says "not now" (an agent that still ends) as well as "never": ask again after these times, in seconds.
BACKOFF_S = (0.5, 1.0, 2.0, 4.0)
#: bootout waits for the daemon, which has ExitTimeOut to stop its job.
PATIENCE_S = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class AgentProblem:
    """Why an agent will not do what it was installed for."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


def domain() -> str:
    """The session of the user at the screen: what Full Disk Access and notifications belong to."""
    return f"gui/{os.getuid()}"


def target(label: str) -> str:
    return f"{domain()}/{label}"


def launchctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Call launchctl; its exit code says what it says. One that hangs or is not there counts as a failure."""
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
    """What `launchctl print` says of an agent. Apple calls that text no interface, so nothing relies on it alone."""

    pid: int | None
    last_exit: int | None


def loaded(label: str) -> Loaded | None:
    """An agent as launchd has it, or None where it has none."""
    done = launchctl("print", target(label))
    if done.returncode:
        return None
    pid = re.search(r"^\s*pid = (\d+)", done.stdout, flags=re.M)
    code = re.search(r"^\s*last exit code = (-?\d+)", done.stdout, flags=re.M)
    return Loaded(int(pid[1]) if pid else None, int(code[1]) if code else None)


def is_disabled(label: str) -> bool:
    """Whether the user, here or under Login Items, has said that it must not start."""
    said = launchctl("print-disabled", domain()).stdout
    return re.search(rf'"{re.escape(label)}" => (disabled|true)', said) is not None


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
    """What is wrong with the installed agents; one line and one remedy each. Empty where all is well."""
    return [trouble for label in LABELS if (trouble := _agent_problem(home, label)) is not None]


def _agent_problem(home: Home, label: str) -> AgentProblem | None:
    again = "Run `jarvisctl install`."
    agent = agents.installed(label)
    if agent is None:
        return AgentProblem(f"{label} is not installed", again)
    if not agent.get("ProgramArguments"):
        return AgentProblem(f"{agents.file(label)} is no agent of ours", again)
    if (theirs := agents.home_of(agent)) != str(home.root):
        return AgentProblem(
            f"{label} serves another home, {theirs}", f"`jarvisctl install` makes it serve {home.root}."
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
        return AgentProblem(f"{label} starts {program}, which is not there any more", grant)
    if was is not None and was != now:
        return AgentProblem(f"Python has moved from {was} to {now}, and its permissions stayed behind", grant)
    return None


# -------------------------------------------------------------------------------------------- installing and removing


def commands(label: str) -> list[list[str]]:
    """What `install` calls for one agent, in order. `enable` comes first: what is disabled cannot be loaded."""
    steps = [
        ["launchctl", "enable", target(label)],
        ["launchctl", "bootout", target(label)],
        ["launchctl", "bootstrap", domain(), str(agents.file(label))],
    ]
    if label == DAEMON:  # the nightly one must wait for its time
        steps.append(["launchctl", "kickstart", target(label)])
    return [*steps, ["launchctl", "print", target(label)]]


def install(home: Home, when: Schedule, say: Say) -> None:
    """Write, load and check both agents; whatever fails, all is as it was before."""
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
                raise JarvisError(f"launchd took {label}, but does not know it", "Run `jarvisctl doctor`.")
    except BaseException as error:
        left = _undo(before)
        if isinstance(error, JarvisError):
            raise JarvisError(f"{error.what}; {left}", error.remedy) from error
        raise


def need_macos() -> None:
    if not machine.MACOS:
        raise JarvisError(
            "launchd is a part of macOS, and this is not a Mac",
            "`jarvisctl start` runs the daemon here; `jarvisctl install --dry-run` shows what a Mac would get.",
        )


def need_session() -> None:
    """Raises JarvisError where launchd has no session of this user to put an agent into."""
    need_macos()
    if not has_session():
        raise JarvisError(
            f"launchd has no session of yours at this Mac's screen ({domain()})",
            "Log in at the Mac itself, once, and install from there; over ssh alone macOS takes no agent.",
        )


def has_session() -> bool:
    return launchctl("print", domain()).returncode == 0


def load(label: str) -> None:
    """Have launchd take an agent, in place of an older one of that name."""
    enable, bootout, bootstrap, *more = (step[1:] for step in commands(label))
    launchctl(*enable)
    launchctl(*bootout)  # fails where nothing was loaded
    _bootstrap(label, bootstrap)
    for step in more[:-1]:
        if (done := launchctl(*step)).returncode:
            raise JarvisError(f"launchd does not start {label}: {complaint(done)}", "Run `jarvisctl doctor`.")


def _bootstrap(label: str, words: list[str]) -> None:
    for pause_s in (*BACKOFF_S, None):
        done = launchctl(*words)
        if not done.returncode:
            return
        if pause_s is None or done.returncode != 5 or is_disabled(label):
            break
        time.sleep(pause_s)
    if is_disabled(label):
        raise JarvisError(
            f"{label} is switched off",
            "Allow it in System Settings > General > Login Items & Extensions, and install again.",
        )
    raise JarvisError(
        f"launchd does not take {label}: {complaint(done)}",
        f"`plutil -lint {agents.file(label)}` checks the file; `log show --last 5m --predicate "
        "'process == \"launchd\"'` says more.",
    )


def _content(label: str) -> bytes | None:
    try:
        return agents.file(label).read_bytes()
    except FileNotFoundError:
        return None


def _put(label: str, content: bytes | None) -> None:
    """The agent's file with that content, or none. launchd refuses a file that others may write to."""
    if content is None:
        agents.file(label).unlink(missing_ok=True)
        return
    agents.folder().mkdir(parents=True, exist_ok=True)
    files.replace(agents.file(label), content).chmod(0o644)


def _undo(before: dict[str, tuple[bytes | None, bool]]) -> str:
    """Put the files back, and load again what was loaded. Returns what became of that, in words."""
    failed = []
    for label, (content, was_loaded) in before.items():
        launchctl("bootout", target(label))
        try:
            _put(label, content)
            if was_loaded and content is not None:
                _bootstrap(label, ["bootstrap", domain(), str(agents.file(label))])
        except (JarvisError, OSError) as error:
            failed.append(f"{label}: {error}")
    return f"undoing it failed too ({'; '.join(failed)})" if failed else "everything is as it was before"


def uninstall(say: Say) -> bool:
    """Unload and remove both agents. False where there were none."""
    found = False
    for label in LABELS:
        there = agents.file(label).exists()
        if loaded(label) is not None:
            there = True
            launchctl("bootout", target(label))
            if not _gone(label):
                raise JarvisError(f"launchd does not let go of {label}", "Log out and in, then try again.")
        agents.file(label).unlink(missing_ok=True)
        if there:
            say(f"{label}: removed")
        found |= there
    return found


def _gone(label: str) -> bool:
    """Whether launchd has let go of an agent: bootout may return while its process still ends."""
    for pause_s in BACKOFF_S:
        if loaded(label) is None:
            return True
        time.sleep(pause_s)
    return loaded(label) is None


# ----------------------------------------------------------------------------------------------- starting and stopping


def start() -> None:
    """Have launchd start the daemon, loading its agent first where that is not loaded."""
    if loaded(DAEMON) is None:
        load(DAEMON)
    elif (done := launchctl("kickstart", target(DAEMON))).returncode:
        raise JarvisError(f"launchd does not start the daemon: {complaint(done)}", "Run `jarvisctl doctor`.")


def stop() -> None:
    """Ask launchd's daemon to end, also one that only waits for the lock. It ends with 0 and so stays down."""
    launchctl("kill", "SIGTERM", target(DAEMON))
