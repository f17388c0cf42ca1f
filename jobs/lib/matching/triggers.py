"""The templates of a mining that may be sent, their triggers, and the model with which they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError, Run
from jobs.lib.matching.rules import FIRES_AT, form_of
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import Mining, Template
from jobs.lib.reviews import verdicts

SENDABLE = ("automatic", "suggest")
MINE_AGAIN = "Mine again with `jarvisctl enqueue templates`."
_MODEL_FILES = ("modules.json", "config.json", "tokenizer.json", "vocab.txt", "1_Pooling/config.json")


@dataclass(frozen=True, slots=True)
class Trigger:
    """An incoming text and the reply to it."""

    form: str  #: normal form: what is compared
    shown: str  #: as it was written
    template: str  #: the template's uuid
    reply: str
    tier: str
    threshold: float


def newest() -> Mining:
    """The mining of the newest run that has templates. Raises JarvisError where there is none."""
    has = Template.select(Template.job)
    mining: Mining | None = (
        Mining.select()
        .join(Run, on=(Mining.run == Run.id))
        .where(Mining.job.in_(has))
        .order_by(Run.number.desc(), Mining.job.desc())
        .first()
    )
    if mining is None:
        raise JarvisError("no run has templates yet", "Mine some with `jarvisctl enqueue templates`.")
    return mining


def sendable(mining: Mining, tiers: Sequence[str] = SENDABLE) -> list[Template]:
    """The templates of these tiers that have a trigger and a reply, and that the owner did not reject; by rank."""
    rejected = verdicts.rejected()
    rows = Template.select().where(Template.job == mining.job_id, Template.tier.in_(tiers)).order_by(Template.rank)
    return [row for row in rows if row.representative.strip() and _texts(row.triggers) and row.uuid not in rejected]


def triggers(mining: Mining) -> list[Trigger]:
    """As `find_triggers`. Raises JarvisError where no template may be sent."""
    rows = find_triggers(mining)
    if not rows:
        raise none_sendable(mining)
    return rows


def find_triggers(mining: Mining) -> list[Trigger]:
    """Every trigger of every sendable template, the most precise template first, so that ties go to it.

    The owner's wording takes the place of a template that was edited.
    """
    edited = verdicts.edited()
    rows = sorted(sendable(mining), key=lambda row: (-(row.precision or 0.0), row.rank))
    triggers = [
        Trigger(
            form=form_of(text),
            shown=text,
            template=str(row.uuid),
            reply=edited.get(str(row.uuid), str(row.representative)),
            tier=str(row.tier),
            threshold=FIRES_AT if row.threshold is None else float(row.threshold),
        )
        for row in rows
        for text in _texts(row.triggers)
    ]
    return [trigger for trigger in triggers if trigger.form]


def none_sendable(mining: Mining, tiers: Sequence[str] = SENDABLE) -> JarvisError:
    count = Template.select().where(Template.job == mining.job_id).count()
    wanted = " or ".join(tiers)
    many = "its template is not" if count == 1 else f"none of its {count} templates is"
    return JarvisError(
        f"{mining.run_id} has nothing to send: {many} of the tier {wanted}",
        "The report says why; a longer history gives more, and the matcher must be on disk (mine.matcher).",
    )


def _texts(stored: Any) -> list[str]:
    return [text for text in stored if isinstance(text, str) and text.strip()] if isinstance(stored, list) else []


# ------------------------------------------------------------------------------------------------------- the model


def matcher_folder(mining: Mining, home: Home) -> Path:
    """The folder of the model under which the triggers were measured. Raises JarvisError where it is not on disk."""
    matcher = mining.config.get("matcher")
    if not isinstance(matcher, dict) or not matcher.get("name") or not matcher.get("fingerprint"):
        raise JarvisError(f"{mining.run_id} does not say with which model its triggers were measured", MINE_AGAIN)
    name = str(matcher["name"])
    entries = _entries(mining, home, name)
    usable = next((entry for entry in entries if catalogue.problem(entry, home) is None), None)
    if usable is not None:
        return catalogue.require(usable, home)
    remedy = catalogue.remedy(entries[0]) if entries else "Name it in config/models.yaml, or mine again with another."
    raise JarvisError(f"{name}, with which the triggers were measured, is not on this disk", remedy)


def _entries(mining: Mining, home: Home, name: str) -> list[ModelEntry]:
    """Every known model of that name: first those that the run stored, then those of models.yaml."""
    kept = (mining.run.snapshot.get("plan") or {}).get("mine") or {}
    stored = [_entry(value) for value in kept.values() if isinstance(value, dict) and "key" in value]
    known = [*stored, *catalogue.catalogue(home)]
    return [entry for entry in known if name in (entry.name, entry.key, entry.repo)]


def _entry(stored: dict[str, Any]) -> ModelEntry:
    """A model as a run stored it, without the keys that a newer version gave it. Raises JarvisError."""
    values = {name: value for name, value in stored.items() if name in ModelEntry.model_fields}
    try:
        return ModelEntry.model_validate(values)
    except ValueError:
        name = str(stored["key"])[:60]
        raise JarvisError(
            f"the run says of its model {name} what this version does not understand", MINE_AGAIN
        ) from None


def stamp(folder: Path) -> list[list[Any]]:
    """Name, size in bytes and time of change in ns of every file that decides what the vectors are."""
    wanted = [folder / name for name in _MODEL_FILES] + sorted(folder.glob("*.safetensors"))
    states = [(file, file.stat()) for file in wanted if file.is_file()]
    return [[str(file), state.st_size, state.st_mtime_ns] for file, state in states]
