"""JSON lines in, JSON lines out: whatever a line holds, it gets one answer, and the next line is answered."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jarvisd.errors import JarvisError
from jobs.verbs import match_serve


def answer(text: str, previous: str | None, drafts: int) -> dict[str, Any]:
    if text == "fail":
        raise JarvisError("the model is gone", "Mine again.")
    return {"reply": text.upper(), "previous": previous, "drafts": drafts}


def served(raw: bytes) -> list[dict[str, Any]]:
    sink = io.BytesIO()
    match_serve.serve(answer, io.BytesIO(raw), sink)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_each_line_is_answered_with_its_id() -> None:
    lines = b'{"text": "hi", "id": "one"}\n\n{"text": "a", "previous": "b", "drafts": 1}'
    assert served(lines) == [
        {"id": "one", "reply": "HI", "previous": None, "drafts": 3},
        {"reply": "A", "previous": "b", "drafts": 1},
    ]


def test_a_broken_line_is_an_error_object_and_the_next_is_answered() -> None:
    broken = [
        *(b"{", b"[]", b'"x"', b"\xff\xfe\x00", b"{}", b'{"text": ""}', b'{"text": 5}', b'{"text": "x", "what": 1}'),
        *(b'{"text": "x", "drafts": 0}', b'{"text": "x", "drafts": true}', b'{"text": "x", "previous": 1}'),
        *(b'{"text": "fail"}', b"[" * 100_000, b'{"text": "' + b"a" * (1 << 20) + b'"}'),
    ]
    for line in broken:
        first, second = served(line + b'\n{"text": "ok"}\n')
        assert list(first) == ["error"], line[:40]
        assert second["reply"] == "OK"
    assert served(b'{"text": "a", "id": 1e999}') == [{"reply": "A", "previous": None, "drafts": 3}]
    assert served(b'{"text": "fail", "id": 3}')[0] == {"id": 3, "error": "the model is gone. Mine again."}


def test_an_error_does_not_repeat_the_text() -> None:
    (document,) = served(b'{"text": ["my secret"]}')
    assert "secret" not in document["error"]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_get_one_answer_per_line(chunks: list[bytes]) -> None:
    lines = [line for chunk in chunks if (line := chunk.replace(b"\n", b" ")).strip()]
    assert len(served(b"\n".join(lines))) == len(lines)
