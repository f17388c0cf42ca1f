"""`python -m jarvisd.web`: the process of the local page."""

import sys

from jarvisd.web.server import main

sys.exit(main())
