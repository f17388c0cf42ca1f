"""How a child ended, as the daemon reads it."""

from __future__ import annotations

from enum import IntEnum

#: What the child writes into its lifeline before it ends with OTHER_VERSION, and with OUT_OF_REACH.
LIFELINE_OTHER_VERSION, LIFELINE_OUT_OF_REACH = b"v", b"d"


class ExitCode(IntEnum):
    """How the child ended. A job whose own code ends the process may use any number: without an outcome it failed.

    For those after which the job is started again, OTHER_VERSION and OUT_OF_REACH, the child says so in its lifeline
    too.
    """

    SUCCEEDED = 0  #: the committed outcome says that the job succeeded
    FAILED = 1  #: the committed outcome says that it failed
    DAEMON_GONE = 3  #: the daemon was gone before the child was allowed to start; nothing was done
    STALE_ATTEMPT = 4  #: another attempt is the current one; what this one wrote was refused
    NOT_STORED = 5  #: the job ended, but its outcome could not be stored
    OTHER_VERSION = 6  #: the database has another schema than this code: jarvisd was upgraded; nothing was done
    CANCELLED = 7  #: the user cancelled the job before its own code began; nothing was done
    OUT_OF_REACH = 8  #: the server of the database did not answer for minutes; what was committed is kept
