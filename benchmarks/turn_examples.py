"""Do models write better replies to the owner's turns after they saw how the owner answers, and in which form?

python -m benchmarks turn_examples
python -m benchmarks.turn_examples [--home DIR] [--turns 24] [--replies 24] [--examples 6]

The owner of the demonstration, and its models. Every form is asked the same held-out turns with the same seeds:

    none         no example
    list         in the prompt itself, below a line "This is how I answer:"
    messages     as turns of the chat that went before, each with the message alone
    prompts      as turns of the chat that went before, each as a prompt like the one to be answered: what a run does

Bits are those per character of the owner's real answer. They hold no chance; own_turns of so few replies has some.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.mining import conversations
from benchmarks.sound import PEOPLE, Person, messages_of, split
from jarvisd import paths as homes
from jarvisd.plugin import PlanContext
from jobs.evaluate import checks, earlier, examples, holdout, scenarios
from jobs.evaluate.metrics import own_turns as measure
from jobs.evaluate.replies import generate, likelihood, prefix
from jobs.evaluate.replies.generate import Loaded
from jobs.evaluate.replies.prefix import Prefix
from jobs.evaluate.replies.prompt import Earlier
from jobs.evaluate.replies.tasks import Task
from jobs.evaluate.scenarios import Prompt, PromptDefaults, Scenario
from jobs.lib import imessage
from jobs.lib import marks as reply_marks
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import REAL_TURNS
from jobs.verbs.demo import preparation

SAMPLING = {"max_tokens": 50, "temperature": 0.7}
Form = Callable[[Task, PromptDefaults], tuple[str, Earlier]]


def _none(task: Task, guide: PromptDefaults) -> tuple[str, Earlier]:
    return task.words(guide), ()


def _list(task: Task, guide: PromptDefaults) -> tuple[str, Earlier]:
    pairs = [f"Friend: {one.incoming}\nMe: {one.answer}" for one in task.examples]
    shown = "\n\n".join(["This is how I answer:", *pairs])
    return task.words(guide).replace("\n\n", f"\n\n{shown}\n\n", 1), ()


def _messages(task: Task, guide: PromptDefaults) -> tuple[str, Earlier]:
    return task.words(guide), [(f"Friend: {one.incoming}", one.answer) for one in task.examples]


def _prompts(task: Task, guide: PromptDefaults) -> tuple[str, Earlier]:
    return task.words(guide), task.earlier(guide)


FORMS: dict[str, Form] = {"none": _none, "list": _list, "messages": _messages, "prompts": _prompts}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One person's held-out turns as tasks."""

    person: Person | None  #: None where no reply is to be scored
    tasks: list[Task]
    guide: PromptDefaults


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turn_examples")
    parser.add_argument("--home")
    parser.add_argument("--turns", type=int, default=24)
    parser.add_argument("--examples", type=int, default=examples.DEFAULT)
    parser.add_argument("--models", choices=("small", "all", "large"), default="all")
    parser.add_argument("--replies", type=int, default=24, help="turns that are answered too; 0 = bits alone")
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--only", help="one of these models, by its key")
    chosen = parser.parse_args(words or [])
    home = homes.find(chosen.home)
    files = preparation.prepare(home, chosen.models, lambda line: print("  " + line))
    encoder = Encoder(files.embedder, "all-MiniLM-L6-v2", home.cache / "embeddings") if chosen.replies else None
    asked = _asked(home, chosen.turns, chosen.examples, encoder)
    for key, folder in ((key, folder) for key, folder in files.models.items() if chosen.only in (None, key)):
        entry = ModelEntry(key=key, name=key, path=str(folder))
        loaded = generate.load(entry, folder, dt.date(2026, 1, 1))
        print(f"  {key}, {len(asked.tasks)} turns, {chosen.replies} of them answered, {chosen.examples} examples")
        print("    form        bits  tokens   own_turns             fit    sounds  sendable   words")
        for form in chosen.form or FORMS:
            print(f"    {form:10}{_row(loaded, asked, FORMS[form], chosen.replies)}", flush=True)


def _asked(home: homes.Home, count: int, shown: int, encoder: Encoder | None) -> Asked:
    messages = messages_of(conversations(home), PEOPLE["A"])
    person = split("A", messages, count, encoder.encode) if encoder else None
    history = imessage.turns(messages)
    at = holdout.instant(history)
    assert at is not None
    turns = holdout.choose([turn for turn in history if holdout.is_usable(turn, at)])[:count]
    chosen = tuple(examples.choose(earlier.own_turns(messages, at), shown))
    guide = scenarios.load("scenarios.yaml", PlanContext(home=home, folder=home.root, messages=home.root)).guide
    prompt = Prompt(instruction=guide.turn_instruction)
    tasks = [
        Task(
            scenario=Scenario(id=REAL_TURNS, context=f"Friend: {turn.text}", prompts=(prompt,)),
            place=place,
            answer=holdout.answer(turn),
            examples=chosen,
        )
        for place, (_, turn) in enumerate(turns)
    ]
    return Asked(person=person, tasks=tasks, guide=guide)


def _row(loaded: Loaded, asked: Asked, form: Form, replies: int) -> str:
    """Bits and length of the prompts, then own_turns and its parts for the first `replies` turns."""
    shared = _shared(loaded, asked, form)
    prompts = [form(task, asked.guide) for task in asked.tasks]
    ids = [loaded.template.render(*prompt).ids for prompt in prompts]
    answers = [task.answer or "" for task in asked.tasks]
    bits = [likelihood.bits_per_character(loaded, *pair, shared) for pair in zip(ids, answers, strict=True)]
    told = f"{statistics.mean(value or 0.0 for value in bits):6.2f}{statistics.mean(map(len, ids)):8.0f}"
    if asked.person is None:
        return told
    return told + _cells(asked.person, _replies(loaded, asked, prompts[:replies], shared))


def _replies(loaded: Loaded, asked: Asked, prompts: list[tuple[str, Earlier]], shared: Prefix) -> list[str]:
    made = []
    for task, (words, before) in zip(asked.tasks, prompts, strict=False):
        options = {"earlier": before, "seed": task.seed, "stop": lambda: False, "beginning": shared}
        reply = generate.generate(loaded, words, **SAMPLING, **options)
        assert reply is not None
        made.append(checks.judge(reply.text, reply.finish_reason, asked.guide, task.scenario, task.prompt).reply)
    return made


def _shared(loaded: Loaded, asked: Asked, form: Form) -> Prefix:
    """What all prompts of a form begin with."""
    probes = [form(asked.tasks[0].asking(message), asked.guide) for message in ("a", "7")]
    ids = prefix.common([loaded.template.render(*probe).ids for probe in probes])
    return Prefix.empty(loaded.model).longer(ids)


def _cells(person: Person, replies: list[str]) -> str:
    turns = person.turns[: len(replies)]
    scored = measure.own_turns(person.voice, person.fit, turns, replies)
    assert scored and scored.fit and scored.sounds, "own_turns needs 20 replies"
    marked = reply_marks.marks([turn.incoming for turn in turns], replies)
    sendable = sum(not marks & reply_marks.UNFIT for marks in marked) / len(replies)
    total, words = scored.total, statistics.mean(len(text.split()) for text in replies)
    return (
        f"   {total.value:.2f} ({total.low:.2f} to {total.high:.2f})   {scored.fit.value:.2f}"
        f"   {scored.sounds.value:.2f}    {sendable:.2f}     {words:6.1f}"
    )


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
