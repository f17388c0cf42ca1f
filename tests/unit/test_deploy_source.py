"""The change of JARVIS that makes it fire deployed templates, and the models that its registry names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jarvisd.errors import JarvisError
from jobs.verbs.deploy import config_file, source

#: Files of our own with the shape of JARVIS's: the built-in templates beside the function, or in another module.
JANUARY = '''"""Templates."""
from dataclasses import dataclass

LONG = [
    "a table of its own",
]


def get_custom_template_store():
    ...


def _get_minimal_fallback_templates() -> list[ResponseTemplate]:
    return [ResponseTemplate(name="x", patterns=["y"], response="z")]


def _load_templates() -> list[ResponseTemplate]:
    """Load response templates.

    Returns the built-in template set for template matching.
    """
    return _get_minimal_fallback_templates()


class TemplateMatcher:
    SIMILARITY_THRESHOLD = 0.7
'''
EARLIER = """def _load_templates():
    try:
        from elsewhere import templates
        return templates
    except ImportError:
        return _get_minimal_fallback_templates()
"""


def checkout(tmp_path: Path, text: str, name: str = source.MATCHER) -> Path:
    folder = tmp_path / "jarvis-checkout"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode())
    return folder


def applied(folder: Path, change: str) -> str:
    """The file after `git apply` of the change."""
    (folder / "change.patch").write_bytes(change.encode())
    subprocess.run(["git", "apply", "--unsafe-paths", "change.patch"], cwd=folder, check=True, capture_output=True)
    return (folder / source.MATCHER).read_bytes().decode()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("text", [JANUARY, EARLIER, JANUARY.replace("\n", "\r\n")])
def test_the_change_of_a_checkout_applies_and_is_then_in(tmp_path: Path, text: str) -> None:
    folder = checkout(tmp_path, text)
    assert not source.is_in(folder)
    change = source.patch(folder, None, config_file.FIRST_READ)
    after = applied(folder, change)
    assert "get_custom_template_store().list_enabled()]" in after
    assert "return own + _get_minimal_fallback_templates()" in after
    assert len(after.splitlines()) == len(text.splitlines()) + 1
    assert source.is_in(folder)
    assert source.patch(folder, None, config_file.FIRST_READ) == ""
    compile(after, "templates.py", "exec")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("version", [6, 16, None])
def test_without_a_checkout_the_change_finds_its_place_by_its_context(tmp_path: Path, version: int | None) -> None:
    folder = checkout(tmp_path, JANUARY)
    applied(folder, source.patch(None, version, config_file.FIRST_READ))
    assert source.is_in(folder)


@pytest.mark.parametrize("text", ["", "def _load_templates():\n    return []\n", "def broken(:\n", "\0", "x = 1\n"])
def test_a_checkout_that_is_not_known_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    folder = checkout(tmp_path, text)
    with pytest.raises(JarvisError):
        source.patch(folder, None, config_file.FIRST_READ)
    assert (folder / source.MATCHER).read_text() == text


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JarvisError, match="cannot be read"):
        source.is_in(tmp_path)


def test_ids_are_read_out_of_the_registry(tmp_path: Path) -> None:
    registry = 'R = {"a": ModelSpec(id="a", path="org/a", size_gb=1.2), "b": ModelSpec(id=name, path="org/b")}\n'
    assert source.model_ids(checkout(tmp_path, registry, source.REGISTRY)) == {"org/a": "a"}
