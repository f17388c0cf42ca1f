"""Write docs/configuration.md (every key of every file, from the models that read them) and docs/verbs.md (`--help`).

.venv/bin/python docs/reference.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from jarvisd import registry
from jarvisd.cli import VERBS, cli
from jarvisd.plan import plans, settings
from jobs.evaluate import scenarios
from jobs.lib.models.catalogue import Catalogue

TARGET = Path(__file__).with_name("configuration.md")
VERBS_TARGET = Path(__file__).with_name("verbs.md")
SIMPLE = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
HEAD = """\
# Every key of every file

Written by `docs/reference.py` from the models that read the files; a test compares the two. An unknown key, or a value
that does not fit, is an error with file, line and key. A file in the `config/` of home takes the place of the shipped
one of that name: `jarvisctl init` writes copies of settings.yaml and overnight.yaml there, with comments, and beside
them, in `schemas/`, a JSON schema of every file for your editor. A copy of another shipped file finds its schema there
too; `jarvisctl config` says where each file is, what is in force, and where each value comes from."""
VERBS_HEAD = """\
# Every verb

Written by `docs/reference.py` from `--help`; a test compares the two. `--home DIR` and `--help` go for every verb and
are left out below. An error is one line: what is wrong, where, and what to do. Exit codes: 0 success, 1 failure, 2
wrong usage; `wait --timeout` ends with 124 when the time is over. A job's name means the running job, else one of an
open run, else the newest run that has it; a number is a job's id; `latest` is the newest run with a report to come."""
SETTINGS = """\
What holds for every run. The daemon reads it when it starts: after a change, `jarvisctl restart`. Without a file, and
for each key that is not in it, the defaults hold."""
PLAN = """\
`config/plans/NAME.yaml` is submitted by `jarvisctl enqueue NAME`; `--set mine.templates=80` changes one key for one
run. Relative paths are taken from the plan's file. Each section below is a kind of job, and one that is missing is
not run: without `report:` there is no report; `report: {}` takes every default. A package of your own
[adds a section](writing-a-job.md)."""
SECTIONS = {
    "mine": "Reply templates from your messages, one job.",
    "evaluate": "Replies of models to the same prompts, one job per model.",
    "command": "A list of programs, one job each. There is no shell: `run` is a list of words.",
    "report": "The report, and the rules of its verdict.",
}
MODELS = """\
A list under `models:`. Beside these a plan may name any repository of the hub, or a folder."""
MANUAL = """\
The templates that you use today, measured beside the mined ones; nothing here is ever sent. A list under `templates:`.
Each has three keys, all required: `name` (what the report calls it), `reply` (what is answered) and `triggers` (a list
of the incoming messages that it answers)."""
SCENARIOS = """\
What the models are asked, and how a reply is checked. A pattern is a regular expression (case does not matter), or
`$name` for a list of `phrases`."""


def text() -> str:
    """The whole page."""
    parts = [HEAD, "## settings.yaml", SETTINGS, *tables(settings.Settings)]
    parts += ["## A plan", PLAN, *tables(plans.Common)]
    for name, about in SECTIONS.items():
        parts += [f"### `{name}`", about, *tables(registry.find(name).plan().Section, flat=True)]
    parts += ["## models.yaml", MODELS, *tables(Catalogue, skip="models")]
    parts += ["## scenarios.yaml", SCENARIOS, *tables(scenarios.ScenarioFile)]
    parts += ["## manual_templates.yaml", MANUAL]
    return "\n\n".join(part for part in parts if part) + "\n"


def tables(model: type[BaseModel], *, flat: bool = False, skip: str = "") -> list[str]:
    """One table of the model's plain keys, then one, under a heading of its own, for each model inside it."""
    schema = model.model_json_schema()
    inner = schema.get("$defs", {})
    if "items" in schema:  # the file's section is a list
        return [table(_model_of(schema["items"], inner) or {}, inner, flat=flat)]
    below: list[str] = []
    for name, part in {} if flat else _inside(schema, inner).items():
        below += [f"### `{name}`", str(part.get("description", "")).strip(), table(part, inner)]
    own = {name: value for name, value in schema["properties"].items() if name != skip}
    return [table({**schema, "properties": own}, inner, flat=flat), *below]


def _inside(schema: dict[str, Any], inner: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The models inside a model, in order, each under the first key that names it."""
    models: dict[str, dict[str, Any]] = {}
    for name, value in schema["properties"].items():
        part = _model_of(value, inner) or _model_of(value.get("items") or value.get("additionalProperties"), inner)
        if part is not None and part not in models.values():
            deeper = _inside(part, inner)
            models |= {name: part} | {key: one for key, one in deeper.items() if one not in models.values()}
    return models


def _model_of(value: Any, inner: dict[str, Any]) -> dict[str, Any] | None:
    """What a value's schema refers to, directly or as `this or null`."""
    if not isinstance(value, dict):
        return None
    for one in [value, *value.get("anyOf", [])]:
        if "$ref" in one:
            model: dict[str, Any] = inner[one["$ref"].rpartition("/")[2]]
            return model
    return None


def table(schema: dict[str, Any], inner: dict[str, Any], *, flat: bool = False) -> str:
    """The keys of one model; `flat` shows those of a model inside it as `outer.key`."""
    rows = list(_rows(schema, inner, "", flat=flat))
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]) if rows else ""


def _rows(schema: dict[str, Any], inner: dict[str, Any], before: str, *, flat: bool) -> list[str]:
    rows = []
    for name, value in schema["properties"].items():
        part = _model_of(value, inner)
        if part is not None and flat:
            rows += _rows(part, inner, f"{before}{name}.", flat=flat)
        elif part is None:
            default = "required" if name in schema.get("required", []) else _default(value)
            meaning = str(value.get("description", "")).replace("|", "\\|")
            rows.append(f"| `{before}{name}` | {kind(value)} | {default} | {meaning} |")
    return rows


def _default(value: dict[str, Any]) -> str:
    default = value.get("default", {} if "additionalProperties" in value else None)
    if isinstance(default, list):
        return ", ".join(default) or "`[]`"
    return f"`{default if isinstance(default, str) and default else json.dumps(default)}`"


def kind(value: dict[str, Any]) -> str:
    """A value's type and limits in words."""
    if "anyOf" in value:
        parts = ["`null`" if one.get("type") == "null" else kind(one) for one in value["anyOf"]]
        return (", or " if "," in "".join(parts) else " or ").join(parts)
    if "enum" in value or "const" in value:
        return " or ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return f"list of {_many(value['items'])}"
    if value.get("type") == "object":
        return f"{_many(value['additionalProperties'])}, by name"
    return SIMPLE.get(str(value.get("type")), "value") + _limits(value)


def _many(value: Any) -> str:
    if not isinstance(value, dict) or "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2].lower() + "s" if isinstance(value, dict) else "value"
    return kind({key: one for key, one in value.items() if key not in ("minLength", "maxLength")})


def _limits(value: dict[str, Any]) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    above, below = value.get("exclusiveMinimum"), value.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    limits = [f"{least:,} or more" if least is not None else "", f"above {above:,}" if above is not None else ""]
    limits += [f"at most {most:,}" if most is not None else "", f"below {below:,}" if below is not None else ""]
    limits += [f"at most {value['maxLength']} characters" if "maxLength" in value else ""]
    return "".join(f", {one}" for one in limits if one)


def verbs() -> str:
    """The page of verbs, in the groups and the order of `--help`."""
    parts = [VERBS_HEAD]
    for title, names in VERBS.items():
        parts += [f"## {title}", *(section for name in names for section in _verb(_command(cli, name), name))]
    return "\n\n".join(parts) + "\n"


def _command(group: click.Group, name: str) -> click.Command:
    command = group.get_command(click.Context(cli), name)
    if command is None:
        raise LookupError(name)
    return command


def _verb(command: click.Command, name: str) -> Iterator[str]:
    """A heading and the help of a verb, then those of the verbs inside it."""
    yield f"### `{name}`"
    yield f"```text\n{_help(command, name)}\n```"
    for inner in command.commands if isinstance(command, click.Group) else ():
        yield from _verb(_command(command, inner), f"{name} {inner}")


def _help(command: click.Command, name: str) -> str:
    """The help, 100 columns wide, without the options that every verb has."""
    context = click.Context(command, info_name=f"jarvisctl {name}", terminal_width=100, max_content_width=100)
    formatter = context.make_formatter()
    shown = [each for each in command.params if each.name != "home"]
    command.params, every = shown, command.params
    context.help_option_names = []
    try:
        command.format_help(context, formatter)
    finally:
        command.params = every
    return "\n".join(line.rstrip() for line in formatter.getvalue().rstrip().splitlines())


def main() -> int:
    for target, page in ((TARGET, text()), (VERBS_TARGET, verbs())):
        target.write_text(page)
        print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
