"""What does a stored, checked reply cost beside bare mlx-lm, and what do more samples cost side by side?

python -m benchmarks evaluate

With the small model that `jarvisctl demo` prepares; on Linux with OpenBLAS, as the jobs themselves run.
"""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._measure import pairs
from jarvisd.host import openblas
from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jarvisd.store import database, migrations, transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs.evaluate import plan
from jobs.evaluate.replies import tasks
from jobs.evaluate.replies.session import Session
from jobs.evaluate.replies.tasks import Task
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import Reply

ROOT = Path(__file__).resolve().parents[1]
MODEL = "smollm2-135m"
#: The 8th and the 18th of 25 ratios enclose their median with 96 %, the smallest and largest of 5 with 94 % (binomial).
PAIRS, FROM, TO = 25, 7, 17
PAIRS_OF_BATCHES = 5
SAMPLES = (2, 5)


def main() -> None:
    """In a process of its own, which can preload a library."""
    blas = openblas.find()
    environment = os.environ | ({"LD_PRELOAD": str(blas)} if blas else {})
    subprocess.run([sys.executable, "-m", "benchmarks.evaluate"], env=environment, cwd=ROOT, check=True)


def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = _context(Home(Path(folder), "--home"))
        kept = context.plan["evaluate"]
        entry = ModelEntry.model_validate(kept["models"][0])
        sheet = ResolvedScenarios.model_validate({"guide": kept["guide"], "scenarios": kept["scenarios"]})
        session = Session(context, entry, sheet.guide, 1, 0)
        loaded = session.load()
        first = [task for task in tasks.of_job("", {}, sheet, 1) if task.place == 0]
        session.prepare(loaded, first[0])
        print("  " + _overhead(context, entry, sheet, loaded, first), flush=True)
        print("  " + _batches(context, entry, sheet, loaded, first[:2]))


def _overhead(context: JobContext, entry: ModelEntry, sheet: ResolvedScenarios, loaded: Any, some: list[Task]) -> str:
    """A pair is one reply: short, so that whatever else the machine does hits both alike."""
    many = [replace(some[n % len(some)], sample=1 + n // len(some)) for n in range(PAIRS + 1)]
    tasks_here, tasks_bare = iter(many), iter(many)
    bare = _bare(loaded, sheet, context.plan["evaluate"])
    times = pairs(
        lambda: Session(context, entry, sheet.guide, 1, 0).generate(loaded, [next(tasks_here)]),
        lambda: bare(next(tasks_bare)),
        PAIRS,
    )
    ratios = _ratios(*times)
    return (
        f"a reply timed, checked and stored takes {statistics.median(ratios):.3f} times one of bare mlx-lm "
        f"({ratios[FROM]:.3f} to {ratios[TO]:.3f} with 96 %; {PAIRS} pairs, in sum {sum(times[0]) / sum(times[1]):.3f})"
    )


def _batches(context: JobContext, entry: ModelEntry, sheet: ResolvedScenarios, loaded: Any, some: list[Task]) -> str:
    more = [replace(task, sample=sample) for sample in range(SAMPLES[0], SAMPLES[1] + 1) for task in some]

    def generate(round_: int) -> None:
        Reply.delete().execute()
        Session(replace(context, round=round_), entry, sheet.guide, len(more), 0).generate(loaded, more)

    ratios = _ratios(*pairs(lambda: generate(1), lambda: generate(2), PAIRS_OF_BATCHES))
    return (
        f"a further sample by itself takes {statistics.median(ratios):.2f} times one in a batch that shares prefixes "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f} with 94 %; {PAIRS_OF_BATCHES} pairs of {len(more)} replies)"
    )


def _ratios(times: list[float], peers: list[float]) -> list[float]:
    return sorted(a / b for a, b in zip(times, peers, strict=True))


def _bare(loaded: Any, sheet: ResolvedScenarios, settings: dict[str, Any]) -> Callable[[Task], None]:
    """The same prompt, seed and length with nothing around them."""
    import mlx.core as mx
    from mlx_lm import stream_generate
    from mlx_lm.sample_utils import make_sampler

    def call(task: Task) -> None:
        mx.random.seed(task.seed)
        ids = loaded.tokenizer.apply_chat_template(
            [*_SYSTEM, {"role": "user", "content": task.words(sheet.guide)}],
            add_generation_prompt=True,
            enable_thinking=False,
        )
        sampler = make_sampler(temp=settings["temperature"])
        limit = settings["max_tokens"]
        stream = stream_generate(loaded.model, loaded.tokenizer, ids, max_tokens=limit, sampler=sampler)
        "".join(response.text for response in stream)

    return call


#: What jobs.evaluate.replies.prompt puts where this model's template would put a persona of its own.
_SYSTEM = [{"role": "system", "content": "You write text messages."}]


def _context(home: Home) -> JobContext:
    """A running job in an empty home."""
    migrations.migrate(home)
    setting = PlanContext(home=home, folder=home.root, messages=home.root / "chat.db")
    section = plan.Section(models=(str(ROOT / "var/cache/models" / MODEL),), meaning=None)
    kept = {"evaluate": plan.resolve(section, setting)}
    fields = {"plan": "bench", "night": "2026-01-01", "snapshot": {"plan": kept}, "warnings": []}
    run = Run(id="bench", number=1, created_at=database.now(), **fields)
    run.save(force_insert=True)
    Job(run=run, name=f"evaluate:{MODEL}", kind="evaluate", place=0, params={"model": MODEL}).save(force_insert=True)
    job = transitions.claim("here", "boot", database.now())
    assert job is not None
    return JobContext(
        home=home,
        run_id=run.id,
        job_id=job.id,
        job_name=f"evaluate:{MODEL}",
        attempt=1,
        round=1,
        params={"model": MODEL},
        plan=kept,
        folder=home.run_folder(run.id),
        ends_by=None,
        log=logging.getLogger("benchmarks"),
    )


if __name__ == "__main__":
    measure()
