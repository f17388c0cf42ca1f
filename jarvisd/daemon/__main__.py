"""`python -m jarvisd.daemon`: the daemon, where its script is not on PATH."""

import sys

from jarvisd.daemon.main import main

sys.exit(main())
