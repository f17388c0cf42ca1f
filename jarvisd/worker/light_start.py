"""What the daemon starts for a job that needs none of jarvisd's libraries; the work is `light.py`.

Python compiles the file that it is given each time, and keeps what is imported, so this one has a few lines.
"""

import os
import sys

# After the standard library: a package of the same name must not hide a part of it.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from jarvisd.worker import light

light.do_and_exit(sys.argv[2:])
