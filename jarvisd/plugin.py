"""All that a kind of job imports of jarvisd. What stands here keeps its name; the modules behind it may move.

    from jarvisd.plugin import JobContext, JobFailed, JobSpec, MissingRequirement, Outcome, PlanContext

A kind that keeps results in tables of its own also needs `Record`, `Job`, `Run`, `write`, `InstantField`, `JSONText`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from jarvisd.errors import JarvisError, JobFailed, PlanError, UsageError
    from jarvisd.host.files import PRIVATE_COPY, sweep_private_copies
    from jarvisd.host.files import flush as flush_file
    from jarvisd.host.files import replace as replace_file
    from jarvisd.host.machine import free_disk_mb, total_mb
    from jarvisd.host.openblas import blas_environment
    from jarvisd.host.power import conditions
    from jarvisd.host.processes import TOKEN
    from jarvisd.paths import Home
    from jarvisd.paths import expand as expand_path
    from jarvisd.plan.settings import read as read_settings
    from jarvisd.registry import JobSpec, MissingDownload, MissingRequirement, Outcome, PlanContext, RunsOn
    from jarvisd.store.database import InstantField, JSONText, Record, db, disk_error, now, write
    from jarvisd.store.machines import names as machine_names
    from jarvisd.store.models import OPEN, SETTLED, Job, Run, Status
    from jarvisd.store.queries import jobs_of
    from jarvisd.store.schema import script as run_script
    from jarvisd.words import amount, counted, lasting, nearest, rate, visible
    from jarvisd.worker.context import JobContext

    Model = TypeVar("Model", bound=BaseModel)

__all__ = [
    "OPEN",
    "PRIVATE_COPY",
    "SETTLED",
    "TOKEN",
    "Home",
    "InstantField",
    "JSONText",
    "JarvisError",
    "Job",
    "JobContext",
    "JobFailed",
    "JobSpec",
    "MissingDownload",
    "MissingRequirement",
    "Outcome",
    "PlanContext",
    "PlanError",
    "Record",
    "Run",
    "RunsOn",
    "Status",
    "UsageError",
    "amount",
    "blas_environment",
    "conditions",
    "counted",
    "db",
    "disk_error",
    "expand_path",
    "flush_file",
    "free_disk_mb",
    "jobs_of",
    "lasting",
    "load_yaml",
    "machine_names",
    "nearest",
    "now",
    "open_database",
    "rate",
    "read_settings",
    "replace_file",
    "run_script",
    "sweep_private_copies",
    "total_mb",
    "visible",
    "write",
]

#: Name -> where it is defined. Imported when it is first used: what needs three of them does not load all the rest.
_DEFINED = {
    "Home": "jarvisd.paths:Home",
    "InstantField": "jarvisd.store.database:InstantField",
    "JSONText": "jarvisd.store.database:JSONText",
    "JarvisError": "jarvisd.errors:JarvisError",
    "Job": "jarvisd.store.models:Job",
    "JobContext": "jarvisd.worker.context:JobContext",
    "JobFailed": "jarvisd.errors:JobFailed",
    "JobSpec": "jarvisd.registry:JobSpec",
    "MissingDownload": "jarvisd.registry:MissingDownload",
    "MissingRequirement": "jarvisd.registry:MissingRequirement",
    "OPEN": "jarvisd.store.models:OPEN",
    "Outcome": "jarvisd.registry:Outcome",
    "PRIVATE_COPY": "jarvisd.host.files:PRIVATE_COPY",
    "PlanContext": "jarvisd.registry:PlanContext",
    "PlanError": "jarvisd.errors:PlanError",
    "Record": "jarvisd.store.database:Record",
    "Run": "jarvisd.store.models:Run",
    "RunsOn": "jarvisd.registry:RunsOn",
    "SETTLED": "jarvisd.store.models:SETTLED",
    "Status": "jarvisd.store.models:Status",
    "TOKEN": "jarvisd.host.processes:TOKEN",
    "UsageError": "jarvisd.errors:UsageError",
    "amount": "jarvisd.words:amount",
    "blas_environment": "jarvisd.host.openblas:blas_environment",
    "conditions": "jarvisd.host.power:conditions",
    "counted": "jarvisd.words:counted",
    "db": "jarvisd.store.database:db",
    "disk_error": "jarvisd.store.database:disk_error",
    "expand_path": "jarvisd.paths:expand",
    "flush_file": "jarvisd.host.files:flush",
    "free_disk_mb": "jarvisd.host.machine:free_disk_mb",
    "jobs_of": "jarvisd.store.queries:jobs_of",
    "lasting": "jarvisd.words:lasting",
    "machine_names": "jarvisd.store.machines:names",
    "nearest": "jarvisd.words:nearest",
    "now": "jarvisd.store.database:now",
    "rate": "jarvisd.words:rate",
    "read_settings": "jarvisd.plan.settings:read",
    "replace_file": "jarvisd.host.files:replace",
    "run_script": "jarvisd.store.schema:script",
    "sweep_private_copies": "jarvisd.host.files:sweep_private_copies",
    "total_mb": "jarvisd.host.machine:total_mb",
    "visible": "jarvisd.words:visible",
    "write": "jarvisd.store.database:write",
}


def __getattr__(name: str) -> Any:
    if name not in _DEFINED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _DEFINED[name].partition(":")
    globals()[name] = value = getattr(importlib.import_module(module), attribute)
    return value


def load_yaml(path: Path, model: type[Model]) -> Model:
    """A YAML file as a validated object. Raises PlanError with file, line and key."""
    from jarvisd.plan import yamlfile  # late: a kind's plan.py is imported by verbs that read no YAML

    return yamlfile.load(path, model)


def open_database(home: Home) -> None:
    """Open a home's database, to read it outside a job. Raises UsageError where nothing was submitted yet."""
    from jarvisd.operations import lookup  # late: no job needs it

    lookup.open_database(home)
