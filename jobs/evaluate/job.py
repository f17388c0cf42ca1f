"""The job: load one model, let it answer every prompt, keep each reply at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jarvisd import ledger
from jarvisd.context import JobContext
from jarvisd.errors import JobFailed
from jarvisd.kinds import Outcome
from jobs import models
from jobs.evaluate import generate, prompt, score
from jobs.evaluate.generate import Generation, Loaded
from jobs.evaluate.scenarios import Guide, Prompt, Scenario, Sheet
from jobs.models import ModelEntry
from jobs.results import Evaluation, Reply


@dataclass(frozen=True, kw_only=True)
class Task:
    """One reply that is owed."""

    scenario: Scenario
    place: int  #: of the prompt in its scenario, from 0
    sample: int  #: from 1

    @property
    def prompt(self) -> Prompt:
        return self.scenario.prompts[self.place]

    @property
    def key(self) -> tuple[str, int, int]:
        return self.scenario.id, self.place, self.sample

    @property
    def seed(self) -> int:
        return generate.seed(*self.key)

    def words(self, guide: Guide) -> str:
        return prompt.content(guide.opening, self.scenario.context, self.prompt.instruction)


def evaluate(context: JobContext) -> Outcome:
    """One model of the plan. Replies that an earlier attempt committed are kept and not generated again."""
    plan = context.plan["evaluate"]
    entry = _entry(plan, context.params["model"])
    sheet = Sheet.model_validate({"guide": plan["guide"], "scenarios": plan["scenarios"]})
    tasks = list(_tasks(sheet, plan["samples"]))
    done = _done(context)
    owed = [task for task in tasks if task.key not in done]
    if done:
        context.log.info("%d of %d replies are there from an earlier attempt", len(done), len(tasks))
    if owed and not _Session(context, entry, sheet.guide, len(tasks), len(done)).answer(owed):
        return Outcome(ok=False, reason=f"asked to stop after {len(_done(context))} of {len(tasks)} replies")
    return _finish(context)


def _entry(plan: dict[str, Any], key: str) -> ModelEntry:
    return next(ModelEntry.model_validate(entry) for entry in plan["models"] if entry["key"] == key)


def _tasks(sheet: Sheet, samples: int) -> Iterator[Task]:
    """Every reply of a job: one sample of all prompts before the next, so that whatever is there is even."""
    for sample in range(1, samples + 1):
        for scenario in sheet.scenarios:
            for place in range(len(scenario.prompts)):
                yield Task(scenario=scenario, place=place, sample=sample)


def _done(context: JobContext) -> set[tuple[str, int, int]]:
    return {(row.scenario_id, row.prompt, row.sample) for row in Reply.select().where(Reply.job == context.job_id)}


class _Session:
    """A model in memory and the replies that it still owes."""

    def __init__(self, context: JobContext, entry: ModelEntry, guide: Guide, total: int, done: int) -> None:
        self._context, self._entry, self._guide = context, entry, guide
        self._total, self._done = total, done
        self._plan = context.plan["evaluate"]
        self._stored = False

    def answer(self, owed: list[Task]) -> bool:
        """Generate and commit what is owed; False when the job was asked to stop on the way."""
        self._progress("loading the model")
        loaded = self._load()
        self._progress("warming up")
        self._warm_up(loaded, owed[0])
        for task in owed:
            if self._context.should_stop():
                return False
            self._progress(f"{task.scenario.id}, reply {task.place + 1} of {len(task.scenario.prompts)}")
            result, error = self._generate(loaded, task)
            if result is None:
                return False
            self._commit(loaded, task, result, error)
        return True

    def _progress(self, note: str) -> None:
        self._context.progress(self._done, self._total, note)

    def _load(self) -> Loaded:
        home = self._context.home
        what = models.problem(self._entry, home)
        folder = models.locate(self._entry, home)
        if what or folder is None:
            raise JobFailed(what or f"{self._entry.name} is not on this disk", models.remedy(self._entry))
        loaded = generate.load(self._entry, folder)
        self._context.log.info("loaded %s in %.1f s", self._entry.key, loaded.load_time_s)
        if loaded.remark:
            self._context.log.warning("%s", loaded.remark)
        return loaded

    def _warm_up(self, loaded: Loaded, task: Task) -> None:
        try:
            generate.warm_up(loaded, task.words(self._guide), self._plan["temperature"])
        except Exception as error:  # the replies themselves will say what is wrong, each in its row
            self._context.log.warning("the warm-up failed with %s", type(error).__name__)

    def _generate(self, loaded: Loaded, task: Task) -> tuple[Generation | None, str | None]:
        """A reply, or an empty one and why there is none: one bad prompt must not end the comparison."""
        try:
            result = generate.generate(
                loaded,
                task.words(self._guide),
                seed=task.seed,
                max_tokens=self._plan["max_tokens"],
                temperature=self._plan["temperature"],
                stop=self._context.should_stop,
            )
        except MemoryError:
            raise
        except Exception as error:  # its text may quote the prompt, so only its type is kept
            return Generation(), f"the model broke off with {type(error).__name__}"
        return result, None

    def _commit(self, loaded: Loaded, task: Task, result: Generation, error: str | None) -> None:
        verdict = score.judge(result.text, result.finish_reason, self._guide, task.scenario, task.prompt)
        failure = error or verdict.failure
        with self._context.piece():
            if not self._stored:
                # With the first reply, not before: a load alone is no progress, or a model that
                # kills its process on the first prompt would be started for ever.
                self._store_evaluation(loaded)
            Reply.create(
                job=self._context.job_id,
                run=self._context.run_id,
                model=self._entry.key,
                scenario_id=task.scenario.id,
                prompt=task.place,
                sample=task.sample,
                context=task.scenario.context,
                instruction=task.prompt.instruction,
                rendered=result.rendered,
                seed=task.seed,
                reply=verdict.reply,
                success=failure is None,
                failure=failure,
                checks=verdict.checks,
                quality=verdict.quality if failure is None else 0.0,
                created_at=ledger.now(),
                **_figures(result),
            )
        self._stored, self._done = True, self._done + 1
        self._progress(failure or "")
        self._context.log.info("%s", _line(task, result, failure))

    def _store_evaluation(self, loaded: Loaded) -> None:
        Evaluation.delete().where(Evaluation.job == self._context.job_id).execute()
        Evaluation.create(
            job=self._context.job_id,
            run=self._context.run_id,
            model=self._entry.key,
            info=_info(self._entry, loaded, self._context),
            load_time_s=loaded.load_time_s,
            load_peak_mb=loaded.load_peak_mb,
        )


def _figures(result: Generation) -> dict[str, Any]:
    names = (
        "prompt_tokens",
        "tokens",
        "ttft_ms",
        "latency_ms",
        "tokens_per_second",
        "finish_reason",
        "peak_memory_mb",
    )
    return {name: getattr(result, name) for name in names}


def _line(task: Task, result: Generation, failure: str | None) -> str:
    """One line for the log: figures only, never what was said."""
    place = f"{task.scenario.id} {task.place + 1}, sample {task.sample}"
    figures = f"{result.tokens} tokens in {result.latency_ms or 0:.0f} ms"
    return f"{place}: {figures}" + (f", {failure}" if failure else "")


def _info(entry: ModelEntry, loaded: Loaded, context: JobContext) -> dict[str, Any]:
    """What a report says about a model."""
    return {
        "name": entry.name,
        "params": entry.params,
        "memory": f"{entry.memory_mb / 1024:.3g} GB" if entry.memory_mb else "",
        "notes": "; ".join(part for part in (entry.benchmark, entry.strength, entry.notes) if part),
        "path": str(models.locate(entry, context.home) or ""),
        "repo": entry.repo,
        "revision": entry.revision,
        "licence": entry.licence,
        "benchmark": entry.benchmark,
        "strength": entry.strength,
        "download_bytes": entry.download_bytes,
        "chat_template": loaded.template.is_chat,
        "weights_mb": round(loaded.weights_mb, 1),
        "active_mb": round(loaded.active_mb, 1),
        "remark": loaded.remark,
    }


def _finish(context: JobContext) -> Outcome:
    """Rewrite the comparison's file and say how the job ended."""
    from jobs import comparison

    document = comparison.document(context.run_id)
    context.publish("mlx_comparison_results.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    rows = list(Reply.select().where(Reply.job == context.job_id))
    good = [row for row in rows if row.success]
    summary = {
        "replies": len(rows),
        "successes": len(good),
        "quality": round(sum(row.quality for row in rows) / len(rows), 3) if rows else None,
    }
    if not good:
        reasons = ", ".join(sorted({str(row.failure) for row in rows}))
        why = f"no usable reply: {len(rows)} of {len(rows)} failed ({reasons})"
        return Outcome(ok=False, reason=why, summary=summary)
    remark = f"{len(rows) - len(good)} of {len(rows)} replies failed" if len(good) < len(rows) else ""
    return Outcome(reason=remark, summary=summary)
