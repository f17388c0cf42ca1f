"""The `mine` section of a plan: one job that turns the owner's messages into templates."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.kinds import Finding, JobSpec, Setting
from jobs import models

JOB = "mine"
#: What a mining needs beside its model, in MB: Python with torch, and vectors for 100,000 texts.
WORKSPACE_MB = 800
#: For an embedder that does not say what it needs, in MB.
UNKNOWN_MODEL_MB = 500
#: Embedding 100,000 texts at 10 a second, the slowest Mac under load, in seconds.
TIMEOUT_S = 4 * 3600
#: A look at chat.db may hang on a permission prompt of macOS.
PROBE_S = 20.0


class Section(BaseModel):
    """mine: {embedder: sentence-transformers/all-mpnet-base-v2, templates: 120, similarity: 0.8, sample: 100000}"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedder: Annotated[str, Field(min_length=1)] = "sentence-transformers/all-mpnet-base-v2"
    templates: Annotated[int, Field(ge=1, le=1000)] = 120  #: at most so many
    similarity: Annotated[float, Field(gt=0, le=1)] = 0.8  #: least cosine between a message and its template
    sample: Annotated[int, Field(ge=1)] = 100_000  #: the newest so many of the owner's messages are mined
    min_uses: Annotated[int, Field(ge=1)] = 3  #: messages that a template must add to those before it
    max_words: Annotated[int, Field(ge=1, le=100)] = 12  #: a longer message is nobody's template


def resolve(section: Section, setting: Setting) -> dict[str, Any]:
    """The section as a run keeps it. Raises UsageError for an unknown embedder."""
    entry = models.resolve(section.embedder, setting, "embedder")
    return {**section.model_dump(mode="json"), "model": entry.model_dump(mode="json")}


def jobs(section: Section, setting: Setting) -> list[JobSpec]:
    entry = models.resolve(section.embedder, setting, "embedder")
    return [
        JobSpec(
            name=JOB,
            params={"messages": str(setting.messages)},
            memory_mb=(entry.memory_mb or UNKNOWN_MODEL_MB) + WORKSPACE_MB,
            timeout_s=TIMEOUT_S,
        )
    ]


def check(section: Section, setting: Setting) -> list[Finding]:
    """What is wrong with the Messages database and with the embedder, one finding each."""
    findings = _messages(setting)
    entry = models.resolve(section.embedder, setting, "embedder")
    if what := models.problem(entry, setting.home):
        findings.append(Finding(job=JOB, what=what, remedy=models.remedy(entry)))
    return findings


def _messages(setting: Setting) -> list[Finding]:
    """Looked at by a child: under a permission prompt of macOS the look does not return."""
    command = [sys.executable, "-m", "jobs.mine.probe", str(setting.messages)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        found = {
            "what": f"looking at {setting.messages} took longer than {PROBE_S:.0f} seconds",
            "remedy": f"macOS may be asking for permission: grant Full Disk Access to {sys.executable}.",
        }
    except (OSError, ValueError):
        found = {"what": f"{setting.messages} could not be looked at", "remedy": "Run jarvisctl doctor."}
    return [Finding(job=JOB, what=found["what"], remedy=found["remedy"])] if found else []
