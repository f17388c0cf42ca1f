"""Two nights compared: the replies of the same model to the same prompt, side by side where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jarvisd.plugin import Job, Run, Status
from jarvisd.web.pages import Page, Request, Room, get, render
from jobs.lib.results.tables import Reply

#: Nights that can be chosen, and replies that are shown.
MOST_NIGHTS, MOST = 100, 100
#: Model, scenario, instruction and context.
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Answer:
    """A model's first reply to a prompt."""

    text: str  #: "" for one that failed
    failure: str | None


@dataclass(frozen=True)
class Pair:
    """Two replies of one model to one prompt."""

    model: str
    context: str
    instruction: str
    earlier: Answer
    later: Answer


def compare(request: Request) -> Page:
    """The newest two nights unless others are named."""
    nights = newest()
    earlier = request.field("earlier", nights[1] if len(nights) > 1 else "")
    later = request.field("later", nights[0] if nights else "")
    before, after = answers(earlier), answers(later)
    common = [key for key in after if key in before]
    pairs = [Pair(key[0], key[3], key[2], before[key], after[key]) for key in common]
    differing = [pair for pair in pairs if pair.earlier != pair.later]
    return render(
        "compare.html",
        nights=nights,
        earlier=earlier,
        later=later,
        common=len(common),
        differing=len(differing),
        pairs=differing[:MOST],
        models=sorted({key[0] for key in common}),
    )


def newest() -> list[str]:
    """The newest runs whose report was written, the newest first."""
    reported = Job.select(Job.run).where(Job.is_report, Job.status == Status.SUCCEEDED)
    rows = Run.select(Run.id).where(Run.id.in_(reported)).order_by(Run.number.desc()).limit(MOST_NIGHTS).tuples()
    return [run_id for (run_id,) in rows]


def answers(run_id: str) -> dict[Key, Answer]:
    """The first reply of each model of a run to each prompt, in the order in which they were asked."""
    columns = (Reply.model, Reply.scenario_id, Reply.instruction, Reply.context, Reply.reply, Reply.failure)
    rows = Reply.select(*columns).where(Reply.run == run_id, Reply.sample == 1).order_by(Reply.id)
    return {
        (model, scenario, instruction, context): Answer("" if failure else text, failure)
        for model, scenario, instruction, context, text, failure in rows.tuples()
    }


WEB = Room(name="compare", title="Compare", templates=Path(__file__).parent, place=53, routes=(get("", compare),))
