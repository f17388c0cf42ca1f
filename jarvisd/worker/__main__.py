"""`python -m jarvisd.worker`: the child process of one job."""

from jarvisd.worker.main import run_and_exit

run_and_exit()
