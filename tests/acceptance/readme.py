"""The commands that README.md shows, but for those of macOS."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [
    line.partition("  #")[0].strip()
    for line in re.findall(r"^    (\S.*)$", (ROOT / "README.md").read_text(), flags=re.M)
    if not re.search(r"  # macOS\b", line)
]


def check_files(home: Path) -> None:
    """What people read with cat, and with jq where that is installed, answers as README.md shows it after a night."""
    programs = [program for program in ("cat", "jq") if shutil.which(program)]
    for line in (line for line in EXAMPLES if line.split()[0] in programs):
        out = subprocess.run(shlex.split(line), cwd=home, capture_output=True, text=True, check=True).stdout
        assert out.strip() not in ("", "null"), line
        if "avg_latency_ms" in line:
            assert re.search(r'"name": "[^"]+",\s+"latency": [\d.]+', out)
        if ".stats'" in line:
            assert '"coverage_in_sample"' in out
