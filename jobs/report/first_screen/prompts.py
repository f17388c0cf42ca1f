"""Where the replies differ most: the prompts of the scenarios, those where the models lie farthest apart first."""

from __future__ import annotations

from jobs.report.escape import milliseconds
from jobs.report.first_screen.data import Prompt, Reply
from jobs.report.gather import Report
from jobs.report.rows import replies as reply_rows
from jobs.report.rows.replies import PromptBlock, ReplyCell

#: Models that lie nearer than this by the checks, of 0..1, do not differ at a prompt.
DIFFERENT = 0.05


def prompts(report: Report) -> tuple[Prompt, ...]:
    """Every prompt of the scenarios; of two that are equally far apart the earlier one first."""
    blocks = [(scene.context, block) for scene in reply_rows.scenes(report) for block in scene.exchanges]
    numbered = [(number, context, block) for number, (context, block) in enumerate(blocks, start=1)]
    numbered.sort(key=lambda row: (-round(row[2].spread, 2), row[0]))
    return tuple(_prompt(number, context, block) for number, context, block in numbered)


def _prompt(number: int, context: str, block: PromptBlock) -> Prompt:
    return Prompt(
        anchor=f"prompt-{number}",
        incoming=context,
        instruction=block.instruction,
        replies=tuple(map(_reply, block.replies)),
        more=block.more,
        differs=block.spread >= DIFFERENT,
    )


def _reply(cell: ReplyCell) -> Reply:
    return Reply(
        model=cell.model,
        text=cell.reply,
        seconds="" if cell.latency_ms is None else milliseconds(cell.latency_ms),
        failure=cell.failure,
        times=cell.times,
        checks=cell.checks,
        failed_checks=cell.failed_checks,
    )
