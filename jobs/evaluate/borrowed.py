"""Good examples of other prompts as bad ones of this: what is right elsewhere is wrong here.

Without them a short friendly text that is like no bad example passes everywhere: "haha yeah" to every prompt of the
shipped file had a mean of 0.61, with them 0.22. Only what fails this prompt's checks is borrowed, because some replies
are right for two prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from jobs.evaluate import checks as rules
from jobs.evaluate.scenarios import Prompt, PromptDefaults, ResolvedScenarios, Scenario

#: Of its scenario's other prompts together, and of each other scenario.
_HERE, _ELSEWHERE = 18, 6


def borrowed(sheet: ResolvedScenarios, scenario: Scenario, prompt: Prompt) -> list[str]:
    """The same examples in any order of the file."""
    own = {*prompt.examples.good, *prompt.examples.bad}
    lent: list[str] = []
    for other in sheet.scenarios:
        pool = {reply for lender in other.prompts for reply in lender.examples.good} - own
        unfit = _unfit(pool, sheet.guide, scenario, prompt)
        lent += islice(unfit, _HERE if other.id == scenario.id else _ELSEWHERE)
    return lent


def _unfit(pool: set[str], guide: PromptDefaults, scenario: Scenario, prompt: Prompt) -> Iterator[str]:
    """Those that fail a check of the prompt or its scenario, in an order that depends on the texts alone."""
    for reply in sorted(pool, key=lambda reply: sha256(f"{prompt.instruction}\0{reply}".encode()).digest()):
        results = rules.run_checks(reply, guide, scenario, prompt)
        if not all(results[name] for name in scenario.checks | prompt.checks):
            yield reply
