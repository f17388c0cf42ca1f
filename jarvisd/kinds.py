"""The old name of part of jarvisd.plugin, kept for one release: import from there."""

from jarvisd.plugin import JobSpec as JobSpec
from jarvisd.plugin import MissingDownload as Download
from jarvisd.plugin import MissingRequirement as Finding
from jarvisd.plugin import Outcome as Outcome
from jarvisd.plugin import PlanContext as Setting

__all__ = ["Download", "Finding", "JobSpec", "Outcome", "Setting"]
