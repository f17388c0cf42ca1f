"""All that a kind of job imports of jarvisd. What stands here keeps its name; the modules behind it may move.

    from jarvisd.plugin import JobContext, JobFailed, JobSpec, MissingRequirement, Outcome, PlanContext

A kind that keeps results in tables of its own also needs `Record`, `Job`, `Run`, `write`, `InstantField` and `JSONText`.
"""

from jarvisd.errors import JarvisError, JobFailed, PlanError, UsageError
from jarvisd.host.disk_errors import trouble as disk_error
from jarvisd.host.files import flush, replace
from jarvisd.host.machine import total_mb
from jarvisd.host.power import conditions
from jarvisd.host.processes import TOKEN
from jarvisd.paths import Home
from jarvisd.plan.yamlfile import load as load_yaml
from jarvisd.registry import Download, Finding, JobSpec, Outcome, Setting
from jarvisd.store.database import InstantField, JSONText, Record, db, now, write
from jarvisd.store.models import OPEN, SETTLED, Job, Run, Status
from jarvisd.store.queries import jobs_of
from jarvisd.store.schema import script
from jarvisd.worker.context import JobContext

__all__ = [
    "OPEN",
    "SETTLED",
    "TOKEN",
    "Download",
    "Finding",
    "Home",
    "InstantField",
    "JSONText",
    "JarvisError",
    "Job",
    "JobContext",
    "JobFailed",
    "JobSpec",
    "Outcome",
    "PlanError",
    "Record",
    "Run",
    "Setting",
    "Status",
    "UsageError",
    "conditions",
    "db",
    "disk_error",
    "flush",
    "jobs_of",
    "load_yaml",
    "now",
    "replace",
    "script",
    "total_mb",
    "write",
]
