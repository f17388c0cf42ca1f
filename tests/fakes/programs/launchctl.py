"""A launchctl with the verbs that jarvisd calls: it answers in macOS's words and runs the programs of its agents.

Beside it, state.json holds what is loaded, being unloaded and disabled, and orders.json what shall go wrong. As on a
Mac, bootout returns before the agent is gone.
"""

import contextlib
import fcntl
import json
import os
import plistlib
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).absolute().parent
STATE, ORDERS = HERE / "state.json", HERE / "orders.json"


def fail(code: int, text: str) -> int:
    print(text, file=sys.stderr)
    return code


def environment(agent: dict) -> dict[str, str]:
    """What launchd would give, and what keeps the program in this fake world: our programs first, our Python's hook."""
    given = agent.get("EnvironmentVariables", {})
    kept = {name: os.environ[name] for name in ("HOME", "USER", "TZ", "LANG") if name in os.environ}
    return {**kept, **given, "PATH": f"{HERE}:{given['PATH']}", "PYTHONPATH": str(HERE / "site")}


def spawn(agent: dict) -> int:
    os.umask(agent.get("Umask", 0o022))
    with Path(agent["StandardOutPath"]).open("ab") as out, Path(agent["StandardErrorPath"]).open("ab") as err:
        words = agent["ProgramArguments"]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(agent), start_new_session=True
        ).pid


def alive(pid: int | None) -> bool:
    if not pid:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def signal_process(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def finish_leaving(state: dict) -> None:
    """Forget the agents whose process has ended since their bootout, and kill what has used up its ExitTimeOut."""
    for label, leaving in list(state["leaving"].items()):
        pid = state["loaded"][label]["pid"]
        if alive(pid) and time.time() > leaving["killed_at"]:
            signal_process(pid, signal.SIGKILL)
        if not alive(pid) and time.time() >= leaving["gone_at"]:
            del state["leaving"][label], state["loaded"][label]


def bootstrap(state: dict, orders: dict, path: str) -> int:
    agent = plistlib.loads(Path(path).read_bytes())
    label = agent["Label"]
    if orders.get("busy", 0) > 0:
        orders["busy"] -= 1
        return fail(5, "Bootstrap failed: 5: Input/output error")
    if label in state["leaving"] and orders.get("old_macos"):
        return fail(37, "Bootstrap failed: 37: Operation already in progress")
    if label in state["loaded"] or label in state["disabled"] or label in orders.get("refused", []):
        return fail(5, "Bootstrap failed: 5: Input/output error")
    state["loaded"][label] = {"path": path, "pid": spawn(agent) if agent.get("RunAtLoad") else None}
    return 0


def bootout(state: dict, label: str, agent: dict, orders: dict) -> int:
    """Ask the agent's process to end, and return at once: `print` finds the agent until it has ended."""
    if label in state["leaving"]:
        return fail(36, "Boot-out failed: 36: Operation now in progress")
    pid = state["loaded"][label]["pid"]
    if alive(pid):
        signal_process(pid, signal.SIGTERM)
    lingers_s = orders.get("lingers_s", 0.3)
    state["leaving"][label] = {
        "gone_at": time.time() + lingers_s,
        "killed_at": time.time() + agent.get("ExitTimeOut", 20),
    }
    return 0


def kickstart(state: dict, label: str, agent: dict, orders: dict) -> int:
    if not alive(state["loaded"][label]["pid"]):
        state["loaded"][label]["pid"] = spawn(agent)
    return 0


def kill(state: dict, label: str, agent: dict, orders: dict) -> int:
    if not alive(state["loaded"][label]["pid"]):
        return fail(3, "No process to signal.")
    os.kill(state["loaded"][label]["pid"], signal.SIGTERM)
    return 0


def print_agent(state: dict, label: str, agent: dict, orders: dict) -> int:
    loaded = state["loaded"][label]
    pid = f"\tpid = {loaded['pid']}\n" if alive(loaded["pid"]) else ""
    print(f"gui/{os.getuid()}/{label} = {{\n\tpath = {loaded['path']}\n{pid}\tlast exit code = 0\n}}")
    return 0


ABOUT_AN_AGENT = {"bootout": bootout, "kickstart": kickstart, "kill": kill, "print": print_agent}


def about_the_session(verb: str, state: dict, orders: dict, label: str) -> int:
    if verb == "print":
        print(f"gui/{os.getuid()} = {{\n\ttype = login\n}}")
    elif verb == "print-disabled":
        print("disabled services = {\n" + "".join(f'\t"{name}" => disabled\n' for name in state["disabled"]) + "}")
    elif verb == "enable":
        if label not in orders.get("forbidden", []):
            state["disabled"] = [name for name in state["disabled"] if name != label]
    else:
        return fail(64, f"Unrecognized subcommand: {verb}")
    return 0


def answer(state: dict, orders: dict, verb: str, words: tuple[str, ...]) -> int:
    domain, label = (*words[0 if verb == "bootstrap" else -1].split("/"), "")[1:3]
    if orders.get("no_session") or domain != str(os.getuid()):
        return fail(125, f"Could not find domain for user gui: {domain}")
    if verb == "bootstrap":
        return bootstrap(state, orders, words[1])
    if not label or verb not in ABOUT_AN_AGENT:
        return about_the_session(verb, state, orders, label)
    if label not in state["loaded"]:
        return fail(113, f'Could not find service "{label}" in domain for user gui: {domain}')
    agent = plistlib.loads(Path(state["loaded"][label]["path"]).read_bytes())
    return ABOUT_AN_AGENT[verb](state, label, agent, orders)


def main(verb: str, *words: str) -> int:
    state = json.loads(STATE.read_text()) if STATE.exists() else {"loaded": {}, "disabled": []}
    orders = json.loads(ORDERS.read_text()) if ORDERS.exists() else {}
    state.setdefault("leaving", {})
    finish_leaving(state)
    code = answer(state, orders, verb, words)
    STATE.write_text(json.dumps(state))
    ORDERS.write_text(json.dumps(orders))
    return code


with (HERE / "lock").open("a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with (HERE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(["launchctl", *sys.argv[1:]]) + "\n")
    sys.exit(main(*sys.argv[1:]))
