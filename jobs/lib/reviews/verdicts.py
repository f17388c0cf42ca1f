"""What the owner decided about templates: kept, rejected or edited. A verdict belongs to a text and outlasts runs."""

from __future__ import annotations

from dataclasses import dataclass

from jarvisd import plugin
from jobs.lib.results.tables import Answer, DraftReview, Mining, Template, TemplateReview, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A template that the owner kept, with what the newest mining that has it says of it."""

    template: str  #: uuid of the text as it was mined
    reply: str  #: the text to send: the owner's wording where it was edited
    verdict: Verdict  #: KEPT or EDITED
    triggers: tuple[str, ...]  #: incoming texts that were measured to predict it; none for a phrase
    uses: int  #: messages of the owner that say exactly this
    tier: str  #: measured by the mining: automatic | suggest | phrase


def verdicts() -> dict[str, TemplateReview]:
    """uuid of each template with a verdict -> the verdict."""
    return {str(review.template): review for review in TemplateReview.select()}


def decide(template: str, reply: str, verdict: Verdict, edited: str | None = None) -> None:
    """Store a verdict in place of an earlier one. `edited` is the new wording where the verdict is EDITED."""
    with plugin.write():
        TemplateReview.delete().where(TemplateReview.template == template).execute()
        TemplateReview.create(template=template, reply=reply, verdict=verdict, edited=edited, created_at=plugin.now())


def restore(template: str, earlier: TemplateReview | None) -> None:
    """Put an earlier verdict back, or remove the present one where there was none."""
    with plugin.write():
        TemplateReview.delete().where(TemplateReview.template == template).execute()
        if earlier is not None:
            values = {name: getattr(earlier, name) for name in ("template", "reply", "verdict", "edited", "created_at")}
            TemplateReview.create(**values)


def withdraw(template: str) -> None:
    """Remove the verdict on a template."""
    with plugin.write():
        TemplateReview.delete().where(TemplateReview.template == template).execute()


def rejected() -> frozenset[str]:
    """uuids of the templates that are never sent, suggested or written anywhere."""
    query = TemplateReview.select(TemplateReview.template).where(TemplateReview.verdict == Verdict.REJECTED)
    return frozenset(str(review.template) for review in query)


def edited() -> dict[str, str]:
    """uuid of each template that the owner worded anew -> the owner's wording."""
    query = TemplateReview.select().where(TemplateReview.verdict == Verdict.EDITED)
    return {str(review.template): str(review.edited) for review in query if review.edited}


def never_answered() -> list[str]:
    """The incoming texts of which the owner said that nothing should answer their kind."""
    query = DraftReview.select(DraftReview.incoming).where(DraftReview.answer == Answer.NEVER)
    return [str(review.incoming) for review in query]


def kept() -> list[Kept]:
    """The templates that the owner kept, the most used first. Without a mining that has one, it has no triggers."""
    reviews = [review for review in verdicts().values() if review.verdict != Verdict.REJECTED]
    rows = _newest_rows([str(review.template) for review in reviews])
    templates = [_kept(review, rows.get(str(review.template))) for review in reviews]
    return sorted(templates, key=lambda template: (-template.uses, template.reply))


def _newest_rows(uuids: list[str]) -> dict[str, Template]:
    """Each template as the newest mining that has it stored it."""
    query = Template.select().join(Mining, on=(Template.job == Mining.job)).where(Template.uuid.in_(uuids))
    return {str(row.uuid): row for row in query.order_by(Template.job)}


def _kept(review: TemplateReview, row: Template | None) -> Kept:
    measured = row is not None and row.tier != "phrase" and isinstance(row.triggers, list)
    return Kept(
        template=str(review.template),
        reply=str(review.edited or review.reply),
        verdict=Verdict(review.verdict),
        triggers=tuple(text for text in row.triggers if isinstance(text, str)) if row is not None and measured else (),
        uses=int(row.uses) if row is not None else 0,
        tier=str(row.tier) if row is not None else "phrase",
    )
