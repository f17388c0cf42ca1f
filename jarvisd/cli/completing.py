"""What a shell completes: names of jobs, runs, plans and models. Reads files and two tables; imports no verb.

Options, and the words of groups of verbs, are left to click.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from click.shell_completion import CompletionItem, get_completion_class

from jarvisd import paths
from jarvisd.paths import Home
from jarvisd.store import location, names
from jarvisd.store.names import Names

VARIABLE = "_JARVISCTL_COMPLETE"
#: Seconds that a database server gets to answer.
LONGEST_S = 1.0
_OPEN = ("queued", "running")
#: Verbs that take a job or run as first argument -> statuses of jobs that they can do something with.
_OF_JOBS: dict[str, tuple[str, ...]] = {
    "cancel": _OPEN,
    "retry": ("succeeded", "failed", "cancelled", "skipped", "stopped"),
    "logs": (),
}
#: Verbs that take a run.
_OF_RUNS = ("status", "wait", "report", "vote", "review", "open")
_FOLDERS = ("--home", "--cwd", "--to", "--source")
#: Options with a value that is completed by nothing here, so that the next word is not the verb's argument.
_WITH_VALUE = (
    "-n",
    "--lines",
    "--number",
    "--since",
    "--until",
    "--at",
    "--for",
    "--timeout",
    "--set",
    "--keep",
    "--format",
)


def run(cli: click.Command, instruction: str, verbs: Mapping[str, str]) -> None:
    """Print the candidates for the words in the environment, as the shell of `instruction` (zsh_complete) reads them.

    `verbs`: every verb with its line of help.
    """
    shell = instruction.removesuffix("_complete")
    completion_class = get_completion_class(shell)
    if completion_class is None:
        return
    completion = completion_class(cli, {}, "jarvisctl", VARIABLE)
    words, typed = completion.get_completion_args()
    before = ""
    if shell == "bash":
        words, typed, before = _joined_at_colons(words, typed)
    chosen = candidates(words, typed, verbs)
    items = completion.get_completions(words, typed) if chosen is None else chosen
    for item in items:
        item.value = str(item.value)[len(before) :]
        click.echo(completion.format_completion(item))


def _joined_at_colons(words: list[str], typed: str) -> tuple[list[str], str, str]:
    """bash splits words at colons. Returns the words, the typed word as one, and its part that bash keeps as it is."""
    parts = [*words, typed]
    while len(parts) > 1 and (parts[-1].startswith(":") or parts[-2].endswith(":")):
        parts[-2:] = ["".join(parts[-2:])]
    whole = parts[-1]
    return parts[:-1], whole, whole[: whole.rfind(":") + 1] if len(parts) <= len(words) else ""


def candidates(words: list[str], typed: str, verbs: Mapping[str, str]) -> list[CompletionItem] | None:
    """What may stand for the typed word after these words; None where click knows."""
    previous = words[-1] if words else ""
    if previous in _FOLDERS:
        return [CompletionItem(typed, type="dir")]
    if typed.startswith("-") or "--" in words or previous in _WITH_VALUE:
        return None
    home = _home(words)
    plain_words = list(_without_options(words))
    if not plain_words:
        return _fitting(verbs.items(), typed)
    choices = _of_option(previous, plain_words, home)
    if choices is None:
        choices = _of_argument(plain_words, home)
    return None if choices is None else _fitting(choices, typed)


def _home(words: list[str]) -> Home:
    named = [value for option, value in itertools.pairwise(words) if option == "--home"]
    return paths.find(named[-1] if named else None)


def _without_options(words: list[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if not skip and not word.startswith("-"):
            yield word
        skip = not skip and word in (*_FOLDERS, *_WITH_VALUE, "--after", "--only", "--run", "--priority", "--name")


Choices = Iterable[tuple[str, str]]


def _of_option(option: str, words: list[str], home: Home) -> Choices | None:
    """Values of the option that was typed last, each with a remark."""
    if option in ("--after", "--after-any"):
        return _jobs_and_runs(_names(home), ())
    if option == "--run":
        return _runs(_names(home))
    if option == "--only" and words[0] == "models":
        return _plans(home)
    if option == "--only":
        return [(name, "") for name in dict.fromkeys(job.name for job in _names(home).jobs)]
    if option == "--between":
        return [(key, "") for key in _names(home).models]
    return None


def _of_argument(words: list[str], home: Home) -> Choices | None:
    """Values of the next argument of the verb."""
    verb, given = words[0], words[1:]
    if verb in _OF_JOBS and not given:
        return _jobs_and_runs(_names(home), _OF_JOBS[verb])
    if verb in _OF_RUNS and not given:
        return _runs(_names(home))
    if verb == "enqueue" and not given:
        return [*_plans(home), ("command", "one program, after --")]
    if verb == "models" and given[:1] in (["fetch"], ["check"]):
        return _models(home)
    if words == ["deploy", "model"]:
        return [(key, "") for key in _names(home).models] or _models(home)
    return None


def _names(home: Home) -> Names:
    address = _server(home)
    if address is None:
        return names.read(home.database)
    with _at_most(LONGEST_S):
        return names.read_from_server(address) if address else Names()


def _server(home: Home) -> str | None:
    """The address of the database server; None where settings.yaml names none, "" where its line is not that simple.

    A parser of YAML would take longer than the shell should wait.
    """
    lines = location.lines(home)
    if not any(re.match(r"\s*[\"']?database\b(?!.*\bnull\b)", line) for line in lines):
        return None
    from jarvisd.plan import database_url  # late: few homes have one

    simple = (re.match(r"database:\s+([\"']?)(postgres\S*?)\1\s*(#.*)?$", line) for line in lines)
    address = next((match[2] for match in simple if match), None)
    without_tls = any(re.match(r"database_without_tls:\s+true\b", line) for line in lines)
    try:
        return database_url.check(address, without_tls=without_tls) if address else ""
    except database_url.Refused:
        return ""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """End this program without a word where this takes longer: also a search for the name of a host that sleeps."""
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        faulthandler.dump_traceback_later(seconds, exit=True, file=nothing)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _jobs_and_runs(known: Names, statuses: tuple[str, ...]) -> Choices:
    """Names of jobs, then their numbers, then runs; no statuses: all jobs."""
    jobs = [job for job in known.jobs if not statuses or job.status in statuses]
    by_name = {job.name: f"{job.status} in {job.run}" for job in reversed(jobs)}
    yield from by_name.items()
    for job in jobs:
        yield str(job.id), f"{job.name}, {job.status}"
    chosen = {job.run for job in jobs}
    yield from (run for run in _runs(known) if run[0] in chosen or run[0] == "latest")


def _runs(known: Names) -> Choices:
    return [*([("latest", "the newest run with a report")] if known.runs else []), *known.runs]


def _plans(home: Home) -> Choices:
    return [(path.stem, "plan") for path in home.config_files("plans/*.yaml")]


def _models(home: Home) -> Choices:
    """The keys of models.yaml. A parser of YAML would take longer than the shell should wait."""
    try:
        text = home.config_file("models.yaml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return [(key, "") for key in re.findall(r"^\s*-\s+key:\s*[\"']?([\w./-]+)", text, flags=re.MULTILINE)]


def _fitting(choices: Choices, typed: str) -> list[CompletionItem]:
    """The choices that begin with what was typed; where none does, those whose part behind the kind does."""
    known = list(choices)
    whole = [choice for choice in known if choice[0].startswith(typed)]
    behind = [choice for choice in known if choice[0].partition(":")[2].startswith(typed)] if not whole else []
    return [
        CompletionItem(value.partition(":")[2] if behind else value, help=remark or None)
        for value, remark in whole or behind
    ]
