"""Answers JSON lines: {"text": "...", "previous": "..."} in, the likeliest replies out.

echo '{"text": "are you free?"}' | python docs/examples/answer.py
"""

import json
import sys

from jarvisd import paths
from jobs.lib.matching import Matcher

matcher = Matcher.load(paths.find(None))
matcher.warm()
for line in sys.stdin:
    request = json.loads(line)
    answer = matcher.answer(request["text"], previous=request.get("previous"), limit=3)
    drafts = [
        {"reply": draft.reply, "probability": draft.probability, "would_send": draft.would_send}
        for draft in answer.drafts
    ]
    print(json.dumps({"drafts": drafts, "about": answer.about, "ms": answer.ms}), flush=True)
