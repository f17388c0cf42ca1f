"""The old name of part of jarvisd.plugin, kept for one release: import from there."""

from jarvisd.plugin import JobContext as JobContext
