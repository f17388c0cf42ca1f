"""How long finding a template takes: held-out turns through the run's own index, as `jarvisctl match` asks it."""

from __future__ import annotations

import time
from typing import Any

from jarvisd.plugin import JarvisError, JobContext
from jobs.lib import stats
from jobs.lib.matching.answerer import Answerer
from jobs.lib.results.tables import Mining

MOST = 100  # turns


def of_matches(context: JobContext, texts: list[str]) -> dict[str, Any]:
    """match_mean_ms, match_p50_ms and match_n of up to MOST of `texts`; or match_problem. Never raises.

    The index is loaded and warm, and matches one text after another, as JARVIS does. The job's templates must be stored
    already. The index stays on disk, so that the first `jarvisctl match` does not have to make it.
    """
    try:
        times, problem = _times(context, evenly(texts))
    except Exception as error:  # the templates are stored, and a missing figure must not fail the job
        times, problem = [], error.what if isinstance(error, JarvisError) else type(error).__name__
    return {
        "match_mean_ms": _rounded(stats.mean(times)),
        "match_p50_ms": _rounded(stats.median(times)),
        "match_n": len(times),
        "match_problem": problem or None,
    }


def _times(context: JobContext, texts: list[str]) -> tuple[list[float], str]:
    """Milliseconds of each match, and why there are none, "" where there are."""
    mining = Mining.get_by_id(context.job_id)
    answerer = Answerer.of(context.home, mining)
    if not answerer.can_answer or not texts:
        return [], "no message came in lately" if answerer.can_answer else "no template of this run may be sent"
    answerer.warm()
    times = []
    for number, text in enumerate(texts):
        if context.should_stop():
            break
        context.progress(number, len(texts), "matches timed")
        began = time.perf_counter()
        answerer.answer(text)
        times.append(1000 * (time.perf_counter() - began))
    return times, "" if times else "the job was asked to stop"


def evenly(texts: list[str]) -> list[str]:
    """At most MOST of them, from the whole length."""
    return [texts[place * len(texts) // MOST] for place in range(MOST)] if len(texts) > MOST else texts


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
