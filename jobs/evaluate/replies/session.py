"""A model in memory and its pending replies: each is committed as soon as it is generated."""

from __future__ import annotations

import enum
import time
from collections import deque
from typing import Any

from jarvisd import plugin
from jarvisd.plugin import JobContext
from jobs.evaluate import checks
from jobs.evaluate.checks import Verdict
from jobs.evaluate.replies import generate, likelihood, prefix, preflight, tasks
from jobs.evaluate.replies.batch import Batch, CannotBatch
from jobs.evaluate.replies.generate import Generation, Loaded
from jobs.evaluate.replies.prefix import Prefix
from jobs.evaluate.replies.tasks import Task
from jobs.evaluate.scenarios import PromptDefaults
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import ModelLoad, Reply

#: From the second round on no reply is begun that would likely end later than this before the report's time, in s.
SPARE_S = 10.0
#: The next reply is expected to take this many times the slowest so far: its prompt may be longer, a warm Mac slower.
SLOWER = 1.5


class End(enum.Enum):
    """How a session ended."""

    DONE = "done"  #: no reply is pending
    STOPPED = "stopped"  #: the daemon asked the job to stop
    TIME_UP = "time up"  #: the next reply would not have been ready in time


class Clock:
    """Whether there is time for one more reply or batch. In the first round only the daemon decides that."""

    def __init__(self, context: JobContext) -> None:
        self._context, self._slowest_s = context, 0.0

    def took(self, seconds: float) -> None:
        self._slowest_s = max(self._slowest_s, seconds)

    def is_up(self, next_s: float = 0.0) -> bool:
        """`next_s` is the expected duration of the next step, in seconds, if it differs from those so far."""
        if self._context.round < 2:
            return False
        return self._context.seconds_left() < SLOWER * max(next_s, self._slowest_s) + SPARE_S


class Session:
    """What one job does with one model."""

    def __init__(self, context: JobContext, entry: ModelEntry, defaults: PromptDefaults, total: int, done: int) -> None:
        self._context, self._entry, self._defaults = context, entry, defaults
        self._total, self._done = total, done
        plan = context.plan["evaluate"]
        self._sampling = {"max_tokens": plan["max_tokens"], "temperature": plan["temperature"]}
        self._clock = Clock(context)
        self._beginning: Prefix | None = None  #: what all real turns of the job begin with, where it is long
        self._evaluation: dict[str, Any] | None = None  #: the row that the first reply brings with it

    def answer(self, pending: list[Task]) -> End:
        """Load the model, then generate and commit the pending replies. Raises JobFailed for an unusable model."""
        if self._clock.is_up(_last_loading_s(self._context.run_id, self._entry.key)):
            return End.TIME_UP
        loaded = self.load()
        if not self.prepare(loaded, pending[0]):
            return End.STOPPED
        end = self.generate(loaded, pending)
        self._note_memory()
        return end

    def load(self) -> Loaded:
        """The model in memory. Raises JobFailed."""
        self._progress("loading the model")
        folder = catalogue.require(self._entry, self._context.home)
        loaded = generate.load(self._entry, folder, tasks.run_date(self._context.run_id))
        self._context.log.info("loaded %s in %.1f s", self._entry.key, loaded.load_time_s)
        if loaded.remark:
            self._context.log.warning("%s", loaded.remark)
        return loaded

    def prepare(self, loaded: Loaded, task: Task) -> bool:
        """The first reply, which is not kept; False when asked to stop on the way. Raises JobFailed."""
        self._progress("the first reply")
        words, earlier = task.words(self._defaults), task.earlier(self._defaults)
        options = {**self._sampling, "earlier": earlier, "stop": self._context.should_stop}
        first = preflight.first_reply(loaded, self._entry, words, **options)
        if first is None:
            return False
        peak = max(loaded.load_peak_mb, first.peak_memory_mb or 0.0)
        preflight.check_memory(self._entry, peak, plugin.total_mb())
        self._evaluation = _evaluation(self._entry, loaded, first, self._context)
        return True

    def generate(self, loaded: Loaded, pending: list[Task]) -> End:
        """More samples of a prompt side by side, everything that is timed by itself."""
        timed = [task.sample == 1 or self._context.round == 1 for task in pending]
        together = [task for task, alone in zip(pending, timed, strict=True) if not alone]
        alone = [task for task, alone in zip(pending, timed, strict=True) if alone]
        end = self._together(loaded, together) if together else End.DONE
        return self._one_by_one(loaded, alone) if end is End.DONE else end

    # ------------------------------------------------------------------------------------------------ one by one

    def _one_by_one(self, loaded: Loaded, tasks: list[Task]) -> End:
        self._beginning = self._beginning_of_turns(loaded, tasks)
        for task in tasks:
            if self._context.should_stop():
                return End.STOPPED
            if self._clock.is_up():
                return End.TIME_UP
            self._progress(task.title)
            began = time.perf_counter()
            result, error = self._generate(loaded, task)
            if result is None:
                return End.STOPPED
            self._commit(task, result, error, bits_per_character=self._bits(loaded, task, result))
            self._clock.took(time.perf_counter() - began)
        return End.DONE

    def _beginning_of_turns(self, loaded: Loaded, tasks: list[Task]) -> Prefix | None:
        """Examples and opening, which all real turns share, computed; None where they have no examples.

        The tokens are those that two different messages leave equal, so they do not depend on the turns that are
        still to be answered. A failure costs time alone: each prompt is then computed whole.
        """
        turn = next((task for task in tasks if task.is_real and task.examples), None)
        if turn is None:
            return None
        probes = [turn.asking(message).words(self._defaults) for message in ("a", "7")]
        earlier = turn.earlier(self._defaults)
        try:
            shared = prefix.common([loaded.template.render(words, earlier).ids for words in probes])
            return Prefix.empty(loaded.model).longer(shared)
        except MemoryError:
            raise
        except Exception as error:  # a template or a model raises what it likes; its text may quote the prompt
            self._context.log.warning("%s: every prompt is computed whole (%s)", self._entry.key, type(error).__name__)
            return None

    def _generate(self, loaded: Loaded, task: Task) -> tuple[Generation | None, str | None]:
        """A reply, or an empty one and why there is none: one bad prompt must not end the comparison."""
        words, stop = task.words(self._defaults), self._context.should_stop
        try:
            options = {"seed": task.seed, **self._sampling, "beginning": self._beginning}
            return generate.generate(loaded, words, **options, earlier=task.earlier(self._defaults), stop=stop), None
        except MemoryError:
            raise
        except Exception as error:  # its text may quote the prompt, so only its type is kept
            return Generation(), f"the model broke off with {type(error).__name__}"

    def _bits(self, loaded: Loaded, task: Task, result: Generation) -> float | None:
        """What the owner's own answer costs under the model; None where there is none."""
        if task.answer is None or not result.ids:
            return None
        try:
            return likelihood.bits_per_character(loaded, result.ids, task.answer, self._beginning)
        except MemoryError:
            raise
        except Exception as error:  # a figure beside the reply, which itself is good
            self._context.log.warning("%s: no likelihood (%s)", task.title, type(error).__name__)
            return None

    # ------------------------------------------------------------------------------------------------- together

    def _together(self, loaded: Loaded, tasks: list[Task]) -> End:
        """Samples of one prompt after another, so that they share what is computed of it."""
        waiting = deque(sorted(tasks, key=lambda task: task.key))
        running: dict[int, tuple[Task, float]] = {}
        try:
            prompts = [task.words(self._defaults) for task in tasks]
            batch = Batch(loaded, prompts, **self._sampling, memory_mb=self._entry.needs_mb)
            self._context.log.info("%d replies at once", batch.size)
            try:
                return self._batch(batch, waiting, running)
            finally:
                batch.close()
        except CannotBatch as error:
            left = [task for task, _ in running.values()] + list(waiting)
            self._context.log.warning("%s cannot batch (%s): one by one instead", self._entry.key, error)
        return self._one_by_one(loaded, left)

    def _batch(self, batch: Batch, waiting: deque[Task], running: dict[int, tuple[Task, float]]) -> End:
        """Tasks move from `waiting` to `running`, and out of it once they are committed."""
        while waiting or running:
            if self._context.should_stop():
                return End.STOPPED
            while waiting and batch.has_room and not self._clock.is_up():
                place = batch.add(waiting[0].words(self._defaults), waiting[0].seed)
                running[place] = waiting.popleft(), time.perf_counter()
            if not running:
                return End.TIME_UP
            for place, result in batch.step():
                task, began = running[place]
                self._commit(task, result, None, batched=True)
                self._clock.took(time.perf_counter() - began)
                del running[place]
        return End.DONE

    # --------------------------------------------------------------------------------------------- what is kept

    def _progress(self, note: str) -> None:
        self._context.progress(self._done, self._total, note)

    def _commit(self, task: Task, result: Generation, error: str | None, **fields: Any) -> None:
        verdict = checks.judge(result.text, result.finish_reason, self._defaults, task.scenario, task.prompt)
        failure = error or verdict.failure
        row = {"run": self._context.run_id, "round": self._context.round, "model": self._entry.key}
        with self._context.checkpoint():
            if self._evaluation is not None:
                # With the first reply, not before: a load alone is no progress, or a model that
                # kills its process on the first prompt would be started for ever.
                ModelLoad.delete().where(ModelLoad.job == self._context.job_id).execute()
                ModelLoad.create(**self._evaluation)
            Reply.create(job=self._context.job_id, **row, **_reply(task, result, verdict, failure), **fields)
        self._evaluation, self._done = None, self._done + 1
        self._progress(failure or "")
        self._context.log.info("%s", _line(task, result, failure))

    def _note_memory(self) -> None:
        """The peak of the process, once all is done; nothing where no reply brought the row."""
        if self._evaluation is not None:
            return
        with self._context.checkpoint():
            own = ModelLoad.job == self._context.job_id
            ModelLoad.update(process_mb=generate.process_peak_mb()).where(own).execute()


def _last_loading_s(run_id: str, model: str) -> float:
    """How long loading and the first reply took in an earlier round, in seconds."""
    rows = ModelLoad.select().where(ModelLoad.run == run_id, ModelLoad.model == model)
    return max((row.load_time_s + (row.first_reply_ms or 0) / 1000 for row in rows), default=0.0)


def _evaluation(entry: ModelEntry, loaded: Loaded, first: Generation, context: JobContext) -> dict[str, Any]:
    return {
        "job": context.job_id,
        "run": context.run_id,
        "model": entry.key,
        "info": _info(entry, loaded, context),
        "load_time_s": loaded.load_time_s,
        "load_peak_mb": loaded.load_peak_mb,
        "first_reply_ms": first.latency_ms,
        "process_mb": generate.process_peak_mb(),
        "conditions": plugin.conditions(),
    }


def _reply(task: Task, result: Generation, verdict: Verdict, failure: str | None) -> dict[str, Any]:
    return {
        "scenario_id": task.scenario.id,
        "prompt": task.place,
        "sample": task.sample,
        "context": task.scenario.context,
        "instruction": task.prompt.instruction,
        "rendered": result.rendered,
        "prompt_ids": result.ids,
        "seed": task.seed,
        "reply": verdict.reply,
        "thinking": verdict.thinking,
        "success": failure is None,
        "failure": failure,
        "checks": verdict.checks,
        "quality": verdict.quality if failure is None else 0.0,
        "created_at": plugin.now(),
        **_figures(result, verdict.reply),
    }


def _figures(result: Generation, shown: str) -> dict[str, Any]:
    names = (
        "prompt_tokens",
        "tokens",
        "ttft_ms",
        "latency_ms",
        "inter_token_ms",
        "tokens_per_second",
        "finish_reason",
        "peak_memory_mb",
    )
    figures = {name: getattr(result, name) for name in names}
    per_second = len(shown) / result.latency_ms * 1000 if result.latency_ms else None
    return figures | {"characters_per_second": per_second}


def _line(task: Task, result: Generation, failure: str | None) -> str:
    """One line for the log: figures only, never text of a message."""
    took = f" in {result.latency_ms:.0f} ms" if result.latency_ms else ""
    return f"{task.title}: {result.tokens} tokens{took}" + (f", {failure}" if failure else "")


def _info(entry: ModelEntry, loaded: Loaded, context: JobContext) -> dict[str, Any]:
    """What a report says about a model."""
    return {
        "name": entry.name,
        "params": entry.params,
        "memory": f"{entry.memory_mb / 1024:.3g} GB" if entry.memory_mb else "",
        "notes": "; ".join(part for part in (entry.benchmark, entry.strength, entry.notes) if part),
        "path": str(catalogue.locate(entry, context.home) or ""),
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
