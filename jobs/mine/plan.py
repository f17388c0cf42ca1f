"""The `mine` section of a plan: one job that turns the owner's messages into templates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, expand_path
from jobs.lib.models import catalogue

JOB = "mine"
MANUAL = "manual_templates.yaml"
#: Memory that a mining needs beside its model, in MB: Python with torch, and vectors for 100,000 texts.
WORKSPACE_MB = 800
#: For an embedder that does not say what it needs, in MB.
UNKNOWN_MODEL_MB = 500
#: Embedding 100,000 texts at 10 per second, the slowest Mac under load, in seconds.
TIMEOUT_S = 4 * 3600
#: Opening chat.db may hang on a permission prompt of macOS; seconds.
PROBE_S = 20.0


class Section(BaseModel):
    """mine: {embedder: sentence-transformers/all-mpnet-base-v2, templates: 120, similarity: 0.8, sample: 100000}"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedder: str = Field(
        default="sentence-transformers/all-mpnet-base-v2", min_length=1, description="what compares your messages"
    )
    matcher: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="what JARVIS matches with: triggers and tiers are measured under it",
    )
    templates: int = Field(default=120, ge=1, le=1000, description="the largest number of templates")
    similarity: float = Field(default=0.8, gt=0, le=1, description="least cosine between a message and its template")
    sample: int = Field(default=100_000, ge=1, description="how many of your newest messages are mined")
    min_uses: int = Field(default=3, ge=1, description="messages that a template must add to those before it")
    min_people: int = Field(default=3, ge=1, description="a text that fewer people received is private")
    max_words: int = Field(default=12, ge=1, le=100, description="a longer message never becomes a template")
    precision: float = Field(
        default=0.8, gt=0, lt=1, description="what the lower bound of an automatic template's precision must reach"
    )
    manual: str | None = Field(
        default=None, description="your present templates, as YAML or JARVIS's JSON; null = manual_templates.yaml"
    )


def resolve(section: Section, setting: PlanContext) -> dict[str, Any]:
    """The section as a run keeps it. Raises UsageError for an unknown embedder or matcher."""
    embedder, matcher = (catalogue.resolve(name, setting, "embedder") for name in (section.embedder, section.matcher))
    return {
        **section.model_dump(mode="json"),
        "manual": str(manual(section, setting)),
        "model": embedder.model_dump(mode="json"),
        "matcher_model": matcher.model_dump(mode="json"),
    }


def manual(section: Section, setting: PlanContext) -> Path:
    """The file with the owner's present templates."""
    if section.manual is None:
        return setting.home.config_file(MANUAL)
    return setting.folder / expand_path(section.manual)


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    embedder, matcher = (catalogue.resolve(name, setting, "embedder") for name in (section.embedder, section.matcher))
    entries = [embedder] if embedder == matcher else [embedder, matcher]
    return [
        JobSpec(
            name=JOB,
            params={"messages": str(setting.messages)},
            memory_mb=sum(entry.memory_mb or UNKNOWN_MODEL_MB for entry in entries) + WORKSPACE_MB,
            timeout_s=TIMEOUT_S,
            reads_messages=True,
        )
    ]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """What is wrong with the Messages database, the two models and the manual templates, one finding each."""
    findings = [] if setting.messages_checked else _messages(setting)
    entry = catalogue.resolve(section.embedder, setting, "embedder")
    if finding := catalogue.finding(JOB, entry, setting.home):
        findings.append(finding)
    matcher = catalogue.resolve(section.matcher, setting, "embedder")
    unsure = ", so nothing says which templates may be sent: all will be phrases"
    if matcher != entry and (finding := catalogue.finding(JOB, matcher, setting.home, unsure)):
        findings.append(finding)
    if not (file := manual(section, setting)).is_file():
        message = f"{file} is not there, so your present templates are not measured"
        findings.append(MissingRequirement(job=JOB, what=message, remedy="Mend mine.manual, or leave it out."))
    return findings


def _messages(setting: PlanContext) -> list[MissingRequirement]:
    """Whether the Messages database can be read, asked of a child: the read hangs while macOS asks for permission."""
    command = [sys.executable, "-m", "jobs.lib.imessage.probe", str(setting.messages), str(setting.home.cache)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        answer = {
            "what": f"reading {setting.messages} took longer than {PROBE_S:.0f} seconds",
            "remedy": f"macOS may be asking for permission: grant Full Disk Access to {sys.executable}.",
        }
    except (OSError, ValueError):
        answer = {"what": f"{setting.messages} could not be read", "remedy": "Run `jarvisctl doctor`."}
    if "what" not in answer:
        return []
    return [MissingRequirement(job=JOB, what=answer["what"], remedy=answer["remedy"])]
