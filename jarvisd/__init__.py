"""jarvisd: a persistent job queue for one night of experiments on one small computer."""

__version__ = "0.2.0"
