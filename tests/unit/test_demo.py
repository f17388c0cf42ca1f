"""The pure parts of the demonstration: pins, what pip says, the shape of the rows, a configuration."""

from __future__ import annotations

import json
import threading
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.verbs.demo import chatdb, commands, conclusion, corpus, heartbeat, packages, preparation, weights

OWNER, FRIEND = "owner", "friend"
_FOLDER = Path(preparation.__file__).parent


def conversation(*words: tuple[str, str, str]) -> dict[str, object]:
    """One conversation of the corpus's form from (sender, time, text)."""
    return {"messages": [[{"sender": s, "timestamp": f"2018-05-02T{t}Z", "text": x}] for s, t, x in words]}


FIVE = {
    "b": conversation((FRIEND, "10:00:01", "hi"), (OWNER, "10:00:05", "hello"), (FRIEND, "10:00:09", "how are you")),
    "a": conversation((OWNER, "09:00:00", "anyone home?")),
    "c": conversation((OWNER, "10:00:07", "good, you?")),
    "x": conversation((FRIEND, "10:00:02", "not with the owner")),
}


def read(conversations: object = FIVE) -> list[corpus.Said]:
    return corpus.read(json.dumps(conversations).encode(), OWNER)


def test_corpus_is_read_in_the_order_of_time_and_without_other_people_s_conversations() -> None:
    assert [message.text for message in read()] == ["anyone home?", "hi", "hello", "good, you?", "how are you"]


def test_a_conversation_without_an_answer_has_its_own_partner() -> None:
    partners = {message.conversation: message.partner for message in read()}
    assert partners == {"a": "a", "b": FRIEND, "c": "c"}


@pytest.mark.parametrize("wrong", [[1], {"a": 1}, {"a": {"messages": [[{"text": "no sender"}]]}}])
def test_a_corpus_of_another_form_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="form"):
        read(wrong)


def test_the_same_corpus_gives_the_same_rows_and_another_seed_other_ones() -> None:
    messages = read() * 40
    assert chatdb.shape(messages, "seed") == chatdb.shape(messages, "seed")
    assert chatdb.shape(messages, "seed") != chatdb.shape(messages, "other")


def test_rows_are_in_the_order_of_time_and_every_typed_message_is_there_once() -> None:
    rows = chatdb.shape(read(), "seed")
    assert all(first.when <= second.when for first, second in pairwise(rows))
    assert Counter(row.kind for row in rows)["own"] == 3
    assert [row.text for row in rows if row.kind == "incoming"] == ["hi", "how are you"]


def test_of_ten_typed_messages_in_a_row_seven_have_their_text_in_the_body_alone() -> None:
    talk = conversation(*((OWNER, f"10:{n:02}:00", f"message {n}") for n in range(50)))
    places = [row.place for row in chatdb.shape(read({"a": talk}), "seed") if row.kind == "own"]
    for start in range(0, 50, 10):
        assert Counter(places[start : start + 10]) == {"body": 7, "both": 2, "text": 1}


def test_a_stamp_depends_on_the_corpus_and_fits_sqlite() -> None:
    assert chatdb.stamp("a") == chatdb.stamp("a") != chatdb.stamp("b")
    assert 0 < chatdb.stamp("a") < 2**31


def test_what_is_no_database_is_not_current(tmp_path: Path) -> None:
    file = tmp_path / "chat.db"
    assert not chatdb.is_current(file, 1)
    file.write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert not chatdb.is_current(file, 1)


def test_every_shipped_requirement_is_pinned_and_hashed() -> None:
    names = [pin.name for file in sorted(_FOLDER.glob("packages-*.txt")) for pin in packages.read_pins(file)]
    recipes = [preparation.EMBEDDER, *(preparation.ALL | preparation.LARGE).values()]
    assert sorted(names) == sorted(["chitchat-dataset", *(name for recipe in recipes for name in recipe.packages)])


@pytest.mark.parametrize("line", ["numpy", "numpy==1.0", "numpy>=1 --hash=sha256:" + "0" * 64, "-r other.txt"])
def test_an_unpinned_or_unhashed_requirement_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "packages.txt"
    file.write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(ValueError, match="not a pinned and hashed requirement"):
        packages.read_pins(file)


def test_a_pin_is_written_as_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "packages.txt"
    file.write_text(f"Some.Package-x==1.0 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}\n")
    [pin] = packages.read_pins(file)
    assert f"{pin.line}\n" == file.read_text()
    assert pin.pattern == "some_package_x-1.0-*.whl"


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "not the one that was tested",
        ),
        (
            "WARNING: Retrying after connection broken by X\nERROR: No matching distribution",
            "cannot be reached",
        ),
        ("ERROR: No matching distribution found for chitchat-dataset==0.9.0", "does not have one"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("WARNING: a\nERROR: something new", "something new"),
        ("", "exit status 2"),
    ],
)
def test_what_pip_says_becomes_one_line_with_a_remedy(message: str, what: str) -> None:
    error = packages.explain(message, 2)
    assert what in error.what
    assert error.remedy
    assert "\n" not in str(error)


def wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "some_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_unpacking_takes_only_what_lies_below_the_prefix(tmp_path: Path) -> None:
    made = wheel(tmp_path, {"p/model/a.txt": b"a", "p/model/1/b.txt": b"b", "p/__init__.py": b"raise"})
    packages.unpack(made, "p/model/", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"a.txt", "b.txt"}


@pytest.mark.parametrize("name", ["p/../../outside.txt", "p/"])
def test_a_member_outside_the_folder_is_refused_or_skipped(tmp_path: Path, name: str) -> None:
    made = wheel(tmp_path, {name: b"x"})
    if name.endswith("/"):
        assert packages.unpack(made, "p/", tmp_path / "out") == []
        return
    with pytest.raises(JarvisError, match="outside its folder"):
        packages.unpack(made, "p/", tmp_path / "out")


def test_a_wheel_with_another_hash_is_not_found(tmp_path: Path) -> None:
    made = wheel(tmp_path, {"p/a": b"a"})
    right = packages.Pin("some-package", "1.0", frozenset({packages.sha256(made)}))
    wrong = packages.Pin("some-package", "1.0", frozenset({"0" * 64}))
    assert packages.find(right, tmp_path) == made
    assert packages.find(wrong, tmp_path) is None


def test_what_is_there_is_taken_without_asking_anybody(tmp_path: Path) -> None:
    made = wheel(tmp_path, {"p/a": b"a"})
    pin = packages.Pin("some-package", "1.0", frozenset({packages.sha256(made)}))
    lines: list[str] = []
    assert packages.obtain([pin], tmp_path, lines.append) == {"some-package": made}
    assert lines == []


def test_the_rotary_base_is_repeated_at_top_level_where_mlx_lm_looks_for_it() -> None:
    llama = {"rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"}}
    assert weights.top_level(llama) == {"rope_theta": 100000.0}


def test_a_model_with_sliding_windows_gets_both_rotary_bases_and_its_pattern() -> None:
    full, sliding = {"rope_theta": 1e6}, {"rope_theta": 1e4}
    gemma = {
        "rope_parameters": {"full_attention": full, "sliding_attention": sliding},
        "_sliding_window_pattern": 6,
    }
    assert weights.top_level(gemma) == {
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "sliding_window_pattern": 6,
    }


def test_the_line_about_templates_leaves_out_a_coverage_that_could_not_be_measured() -> None:
    stats = {"templates_extracted": 7, "total_messages": 23661, "coverage": None}
    assert conclusion.templates_line(stats) == "Templates: 7 from 23,661 messages"
    assert conclusion.templates_line(stats | {"coverage": 0.142}).endswith("covering 14.2% of messages that came later")


FILES = preparation.DemoFiles(messages=Path("/h/chat.db"), embedder=Path("/h/e"), models={"a": Path("/h/a")})


@pytest.mark.parametrize(("models", "are_off"), [("small", False), ("all", False), ("large", True)])
def test_the_large_models_are_not_ruled_out_by_gates_for_builds_of_four_bits(
    models: preparation.Models, are_off: bool
) -> None:
    changed = commands.overrides(FILES, models, 2)
    assert changed[:3] == ['messages="/h/chat.db"', 'evaluate.models=["a"]', "evaluate.rounds=2"]
    assert changed[3:] == ["report.gates.memory_mb=null", "report.gates.p95_ms=null"] * are_off


def test_the_parts_of_the_large_model_are_joined_in_order() -> None:
    assert [member[-10:] for _, member in preparation.QWEN.gguf] == [f"part{n:02}.bin" for n in range(1, 23)]
    for package, member in preparation.QWEN.gguf:
        assert member.startswith(f"{package.replace('-', '_')}/")
    assert len(preparation.QWEN.gguf) == 22


def test_a_long_step_is_said_again_until_the_next_line() -> None:
    lines: list[str] = []
    again = threading.Event()

    def keep(line: str) -> None:
        lines.append(line)
        if "\u2026" in line:
            again.set()

    with heartbeat.beating(keep, silence_s=0.01) as say:
        say("converting")
        assert again.wait(20)
        say("ready")
    assert lines[0] == "converting"
    assert lines[1] == "\u2026 still converting"
    assert "ready" in lines


def test_the_end_names_a_vote_where_there_is_a_choice_and_more_models_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "a home", "--home")
    folder = home.run_folder("2026-11-27-demo")
    folder.mkdir(parents=True)
    (folder / "REPORT.md").write_text("# A report\n")
    results = folder / "mlx_comparison_results.json"
    results.write_text(json.dumps({"verdict": {"pick": "a", "why": "Best guess: A."}}))
    conclusion.print_for(home, "2026-11-27-demo")
    decided = capsys.readouterr().out
    results.write_text(json.dumps({"verdict": {"pick": None, "why": "Only one model could be compared."}}))
    conclusion.print_for(home, "2026-11-27-demo")
    alone = capsys.readouterr().out
    assert "Verdict: Best guess: A." in decided
    assert f"jarvisctl --home '{home.root}' vote 2026-11-27-demo " in decided
    assert "demo --models all" not in decided
    assert "demo --models all" in alone
    assert decided.splitlines()[-1] == f"Report: {folder / 'REPORT.md'}"


def test_the_end_names_no_home_that_was_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path, "checkout")
    home.run_folder("2026-11-27-demo").mkdir(parents=True)
    (home.run_folder("2026-11-27-demo") / "REPORT.md").write_text("# A report\n")
    conclusion.print_for(home, "2026-11-27-demo")
    assert "--home" not in capsys.readouterr().out
