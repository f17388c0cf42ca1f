"""JSON files of JARVIS that cannot be written again as they are: refused in words, and not a byte is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.errors import JarvisError
from jobs.verbs.deploy import config_file


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_path": "x", "y": 1e999}', "it is not JSON"),
        ('{"model_path": "x", "y": Infinity}', "it is not JSON"),
        ('{"model_path": "x", "y": NaN}', "it is not JSON"),
        ('{"model_path": "x", "model_path": "y"}', "it is not JSON"),
        (nested(150), "it is nested more than 100 levels deep"),
        (nested(100_000), "it is not JSON"),
    ],
    ids=["too large", "infinite", "not a number", "twice", "deep", "very deep"],
)
def test_a_file_that_could_not_be_written_again_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / config_file.NAME
    path.write_text(text)
    with pytest.raises(JarvisError) as refused:
        config_file.apply(path, "/models/x", dry_run=False)
    assert message in str(refused.value)
    assert path.read_text() == text
    assert list(tmp_path.glob(f"{path.name}*")) == [path]
