"""The cards of the first screen: what to do about the model, about the templates, and about what failed."""

from __future__ import annotations

from jarvisd.plugin import Status, counted
from jobs.lib.comparison.action import Action
from jobs.lib.comparison.counsel import in_ten
from jobs.lib.comparison.document import ComparisonDocument
from jobs.report.escape import clean
from jobs.report.first_screen.data import Card, Command, Point, Tone
from jobs.report.gather import Report
from jobs.report.job_lines import Cause
from jobs.report.rows import models as model_rows
from jobs.report.rows import reviews as review_rows
from jobs.report.rows import sentences

#: Seconds that a blind vote takes.
VOTE_S = 12
#: Jobs of one cause that a card names.
SHOWN_JOBS = 4


def cards(report: Report) -> tuple[Card, ...]:
    """The decisions, then what failed or goes on; at least one."""
    decisions = [card for card in (_model(report), _templates(report)) if card]
    rest = [card for card in (_failures(report), _open(report)) if card]
    return tuple(decisions + rest) or (_plain(report),)


def _plain(report: Report) -> Card:
    """A run that decides nothing, such as one of programs alone."""
    tone = Tone.ACT if report.jobs and report.counted(Status.SUCCEEDED) == len(report.jobs) else Tone.WAIT
    return Card(topic="Run", tone=tone, heading=clean(sentences.headline(report), 200), why=sentences.verdict(report))


def _open(report: Report) -> Card | None:
    """A run that goes on."""
    if not report.unfinished:
        return None
    done = sum(job.status == Status.SUCCEEDED for job in report.jobs)
    return Card(
        topic="Night",
        tone=Tone.WAIT,
        heading="The run is not finished yet",
        points=(Point(strong=f"{done} of {len(report.jobs)}", text="jobs are done"),),
        commands=(Command(text="jarvisctl status --watch"),),
    )


# -------------------------------------------------------------------------------------------------- the model


def _model(report: Report) -> Card | None:
    """Switch, keep or decide; None where no model was loaded."""
    if report.comparison is None:
        return None
    verdict = report.comparison.verdict
    acts = verdict.action is Action.SWITCH and verdict.recommended and not verdict.conflict
    return Card(
        topic="Model",
        tone=Tone.ACT if acts else Tone.WAIT,
        heading=clean(sentences.model_headline(report, verdict), 200) or "No choice of a model",
        points=tuple(_model_points(report, report.comparison)),
        commands=tuple(_model_commands(report, report.comparison)),
        why=sentences.on_models(report),
    )


def _model_points(report: Report, comparison: ComparisonDocument) -> list[Point]:
    """Better, faster, how sure: each against the model in use, or the runner-up; and why none is recommended."""
    pick, rival = comparison.verdict.pick, model_rows.runner_up(report)
    if pick is None:
        return [Point(strong=counted(len(report.models), "model"), text="gave replies; a choice needs two")]
    if not comparison.verdict.recommended:
        text = "one text sent to everything does as well as the models that keep the limits"
        return [Point(strong="No better than a canned reply:", text=text)]
    points = [_better(report, pick, rival), _time_and_memory(report, pick, rival)] if rival else []
    every = [*points, _by_votes(report, pick), _sureness(report, comparison, pick)]
    return [point for point in every if point]


def _better(report: Report, pick: str, rival: str) -> Point | None:
    """Better replies on 10 of 13 prompts than your present SmolLM2."""
    mine, other = (_by_prompt(report, key) for key in (pick, rival))
    common = mine.keys() & other.keys()
    if not common:
        return None
    better = sum(mine[prompt] > other[prompt] + 1e-9 for prompt in common)
    worse = sum(mine[prompt] < other[prompt] - 1e-9 for prompt in common)
    is_present = report.comparison is not None and report.comparison.verdict.present == rival
    against = f"{'your present ' if is_present else ''}{model_rows.name(report, rival)}"
    told = f"etter checks on {better} of {len(common)} prompts"
    subject = _subject(report, pick)
    return Point(strong=f"{subject} has b{told}" if subject else f"B{told}", text=f"than {against}, worse on {worse}")


def _subject(report: Report, pick: str) -> str:
    """The name of the best guess where the heading names another model, or none."""
    name = model_rows.name(report, pick)
    verdict = report.comparison.verdict if report.comparison else None
    return "" if verdict is None or name in sentences.model_headline(report, verdict) else name


def _by_prompt(report: Report, key: str) -> dict[tuple[str, int], float]:
    """Mean share of checks of each prompt."""
    values: dict[tuple[str, int], list[float]] = {}
    for reply in report.models[key].generations:
        if reply.quality is not None:
            values.setdefault((reply.scenario_id, reply.prompt), []).append(reply.quality)
    return {prompt: sum(shares) / len(shares) for prompt, shares in values.items()}


def _time_and_memory(report: Report, pick: str, rival: str) -> Point | None:
    """Faster: 2.5 s instead of 7.9 s; takes 0.5 of 8 GB."""
    mine, other = (report.models[key].stats.shared_p50_ms for key in (pick, rival))
    if mine is None or other is None:
        return None
    shown, others = f"{mine / 1000:.1f} s", f"{other / 1000:.1f} s"
    word = "As fast" if shown == others else "Faster" if mine < other else "Slower"
    text = shown if shown == others else f"{shown} instead of {others}"
    peak = model_rows.peak_mb(report.models[pick].stats)
    if peak is not None and report.memory_mb is not None:
        text += f" · takes {peak / 1024:.1f} of {report.memory_mb / 1024:.0f} GB"
    return Point(strong=f"{word}:", text=text)


def _by_votes(report: Report, pick: str) -> Point | None:
    """That the owner's votes put another model first than the score does; None where they do not."""
    scores = {key: model.stats.shared_quality or 0.0 for key, model in report.models.items() if not model.fails_gate}
    best = max(scores, key=lambda key: scores[key], default=pick)
    if best == pick or not (report.comparison and report.comparison.votes.by_owner):
        return None
    return Point(strong="By your votes:", text=f"our score alone would put {model_rows.name(report, best)} first")


def _sureness(report: Report, comparison: ComparisonDocument, pick: str) -> Point:
    """How sure: moderate, about 7 in 10 that it is the best."""
    verdict = comparison.verdict
    text = f"{verdict.confidence}, {in_ten(verdict.p_best)} that {_subject(report, pick) or 'it'} is the best"
    if wanted := verdict.votes_wanted or verdict.answers_left:
        text += f"; {counted(wanted, 'answer')} of yours would tell"
    return Point(strong="How sure:", text=text)


def _model_commands(report: Report, comparison: ComparisonDocument) -> list[Command]:
    verdict = comparison.verdict
    commands = []
    if verdict.action is Action.SWITCH and verdict.pick and verdict.recommended and not verdict.conflict:
        text = f"jarvisctl deploy model {verdict.pick} --run {report.run_id}"
        commands.append(Command(text=text, about="asks before it writes"))
    if len(report.models) > 1:
        between = f" --between {verdict.pick} {verdict.rival}" if verdict.votes_wanted and verdict.rival else ""
        commands.append(Command(text=f"jarvisctl vote {report.run_id}{between}", about=_votes(verdict.votes_wanted)))
    return commands


def _votes(wanted: int | None) -> str:
    if not wanted:
        return "blind, two replies at a time"
    return f"{counted(wanted, 'question')}, about {max(1, round(wanted * VOTE_S / 60))} min"


# ---------------------------------------------------------------------------------------------- the templates


def _templates(report: Report) -> Card | None:
    """Deploy what was kept, or review first; None where nothing was mined."""
    if report.templates is None:
        return None
    total = len(report.templates["templates"])
    kept = sum(row.get("reviewed") in ("kept", "edited") for row in report.templates["templates"])
    heading = f"Deploy the {kept} that you kept" if kept else "Deploy none yet" if total else "No template was found"
    return Card(
        topic="Templates",
        tone=Tone.ACT if kept else Tone.WAIT,
        heading=heading,
        points=tuple(_template_points(report, kept, total)),
        commands=tuple(_template_commands(report, kept, total)),
        why=" ".join([sentences.on_templates(report), *review_rows.lead(report)]),
    )


def _template_points(report: Report, kept: int, total: int) -> list[Point]:
    points = [Point(strong=f"{kept} of {total}", text="were kept by you so far; only those are deployed")] * bool(total)
    drafts, share = review_rows.would_answer(report), review_rows.literal_share(report)
    if drafts is not None:
        text = f"of {drafts.turns:,} later messages would be answered by itself"
        points.append(Point(strong=f"{drafts.fired:,}", text=f"{text}; {drafts.reviewed} drafts are reviewed"))
    if share is not None:
        points.append(
            Point(strong=f"{100 * share:.1f} %", text=f"of {report.whose} messages say literally one of them")
        )
    return points


def _template_commands(report: Report, kept: int, total: int) -> list[Command]:
    drafts = review_rows.would_answer(report)
    commands = []
    if kept:
        commands.append(Command(text="jarvisctl deploy templates", about="asks before it writes"))
    if drafts is not None and drafts.wanted > drafts.reviewed:
        left = drafts.wanted - drafts.reviewed
        commands.append(Command(text=f"jarvisctl review {report.run_id}", about=f"{left} drafts, five seconds each"))
    if total > kept:
        commands.append(Command(text=f"jarvisctl review {report.run_id} --templates", about="keep, reject or edit"))
    return commands


# -------------------------------------------------------------------------------------------------- what failed


def _failures(report: Report) -> Card | None:
    """The causes, and the one command that mends them; None where every job succeeded or goes on."""
    if not report.causes:
        return None
    count, total = sum(len(cause.jobs) for cause in report.causes), len(report.jobs)
    failed = report.counted(Status.FAILED)
    heading = f"{failed} of {total} jobs failed" if failed else f"{count} of {total} jobs did not finish"
    return Card(
        topic="Night",
        tone=Tone.FAILED if failed else Tone.WAIT,
        heading=heading,
        points=tuple(map(_cause, report.causes)),
        commands=(Command(text=report.mend, about=_mending(report)),),
    )


def _mending(report: Report) -> str:
    fetches = any(cause.downloads for cause in report.causes)
    return f"{'downloads what is missing, ' * fetches}runs again what did not succeed, and keeps what was done"


def _cause(cause: Cause) -> Point:
    """6 jobs failed: 6 models are not on this disk (evaluate:a, evaluate:b and 4 more)."""
    if len(cause.jobs) == 1:
        return Point(strong=f"{clean(cause.jobs[0], 80)} {cause.status}:", text=clean(cause.what))
    more = len(cause.jobs) - SHOWN_JOBS
    names = clean(", ".join(cause.jobs[:SHOWN_JOBS])) + (f" and {more} more" if more > 0 else "")
    was = "were " if cause.status in ("skipped", "stopped", "cancelled") else ""
    return Point(
        strong=f"{len(cause.jobs)} jobs {was}{cause.status}:", text=f"{clean(cause.what).rstrip('.')} ({names})"
    )
