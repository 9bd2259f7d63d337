"""Words and phrases that do not belong in the project, with what to write instead, and the exceptions.

CONTRIBUTING.md has the guide behind the rules: use the field's words, name a thing for the concept and not for its
history, and write sentences with a subject that can be pointed at.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch

NAMES: dict[str, str] = {
    "told": "events, view, message: the noun for the value",
    "found": "matches, rows, result",
    "asked": "request, requested",
    "made": "created",
    "there": "existing, or the noun",
    "kept": "stored, weights",
    "given": "value, response",
    "wanted": "requested",
    "said": "output, message",
    "gone": "deleted, removed, ended",
    "seen": "visited, observed, or the noun",
    "heard": "events",
    "listened": "events, stream",
    "hired": "with_teacher_runs",
    "hiring": "teacher_runs",
    "taken": "claimed, used",
    "shown": "displayed, visible",
    "looked": "the noun for the value",
    "passed": "the noun for the value",
    "shelf": "model_cache",
    "census": "stats",
    "depot": "blob_store",
    "arriving": "body_stream",
    "lesson": "teacher_logits",
    "lessons": "teacher_logits",
    "mates": "stack peers",
    "maths": "implementation",
    "workshop": "worker_context",
    "barren": "failed_attempts",
    "endings": "outcomes",
    "neighbours": "neighbors, or process_registry",
    "confined": "sandbox",
}
"""Identifiers: variables, parameters, functions, attributes, modules, loop targets, with or without underscores."""

CLASSES: dict[str, str] = {
    "Told": "StreamEvent",
    "Wish": "ChoiceQuery",
    "OnBehalf": "CallerScoped",
    "Hiring": "TeacherRuns",
    "SeenRuns": "ScopedRuns",
    "Recalled": "the noun of the k-nearest-neighbors code",
    "Looking": "ActivationRecorder",
    "Acted": "HookResult",
    "Tell": "Yield",
}
"""Names of classes."""

PARTS = frozenset({"told", "asked", "said", "heard", "listened", "hired", "wanted"})
"""Words that are as unclear within a longer identifier: ``_is_told``."""

PREFIXES: dict[str, str] = {"MOST_": "MAX_", "LEAST_": "MIN_"}
"""Beginnings of constants."""

_PHRASES: list[tuple[str, str]] = [
    (r"\bwhoever\b", "name the actor: a client that …"),
    (r"\bnobody('s)?\b", "say what is the case: not authenticated; no process; no other user"),
    (r"\b(is|are|was|were|be|being|been|has|have|had) told\b", "reports, logs, receives, is notified"),
    (r"\btold (of|apart|about|to|so|that|what|in|at|by)\b", "reported, distinguished, notified"),
    (r"\b(is|are|was|were|be|been) asked\b", "requests, is requested, on request"),
    (r"\basked (for|again|of|to|with|what|before|about)\b", "requested, retried"),
    (r"\bthere (is|are|was|were) (none|nobody)\b", "say which condition holds: if the run has not finished"),
    (r"\bwhat none\b", "name the thing"),
    (r"\bwhat (can|is to|has to|must) (go|come|be done)\b", "name the thing"),
    (r"\b(?-i:none) (can|may|is|are|has) \w+", "no + noun"),
    (r"\b(is|was|are|were) so\b(?! \w+ (that|as)\b)(?! (that|far|much|many|few|long|small|large|big|short))",
     "repeat the condition"),
    (r"\b(come|comes|came|coming) back\b", "returns; is available again"),
    (r"\b(go|goes|going|went) on\b", "continues, resumes"),
    (r"\b(give|gives|gave|given|giving) back\b", "returns, releases"),
    (r"\b(is|are) tried again\b", "is retried"),
    (r"\b(has|have) not (the|a|an|any|its)\b", "lacks"),
    (r"\b(is|are|was|were) not there\b", "does not exist, is missing"),
    (r"\b(is|are|was|were) there (now|yet|already|when|before|no)\b", "exists, has started"),
    (r"\b(is|are|was|were|be) looked (at|after|up|through)\b", "checks, reads, maintains"),
    (r"\btaken for\b", "treated as"),
    (r"\ba \w+ of (the|its|a|an|another) \w+'s\b", "the caller's thing"),
    (r"\bis no (?!longer|more\b|need|such|different|better|worse|way|reason|limit|doubt)[a-z]+", "is not a …"),
    (r"\b(want|lack) of (something|memory|space|room|a \w+)\b", "without, out of memory"),
    (r"\b(knows?|knew) nothing (of|about)\b", "is independent of"),
    (r"\bharms? (nobody|none|nothing|no \w+)\b", "is isolated from others"),
    (r"\banew\b", "again"),
    (r"\b(says|said|say) so\b", "reports it"),
    (r"\bno mere\b", "not just"),
    (r"\bso much at once\b", "too many requests, too large"),
    (r"\bby heart\b", "memorizes"),
    (r"\bto and fro\b", "in both directions"),
]  # fmt: skip
PHRASES = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in _PHRASES]
"""Turns of phrase in any text."""

OPENINGS = [
    (re.compile(r"(?m)\A\s*(?:What|Who)\b(?![^.\n]*\?)"), "begin with a verb (functions) or a noun (classes, values)"),
    (re.compile(r"\A\s*Likewise\b"), "say what this one is"),
]
"""How a docstring does not begin."""

TEST_NAMES = [
    (re.compile(r"\A(an?|the)\b"), "leave out the article"),
    (re.compile(r"\A(what|who|whoever|whatever|where|there|it|its|those|of|one that)\b"), "begin with a noun"),
    (re.compile(r"\bthere (is|are)\b"), "say which condition holds: without, if, up to"),
    (re.compile(r"\bas (it is|they are|it was|they were)\b"), "unchanged"),
    (re.compile(r"\b(says|speaks|hears|tells (of|about|apart))\b"), "reports, equals, matches, distinguishes"),
    (re.compile(r"\bwhere (it|they) (is|are|was|stands?)\b(?! defined)"), "with its pointer, with its field"),
]
"""Turns of phrase in the name of a test, read as a sentence."""

ALLOWED: list[tuple[str, str, str]] = [
    ("*", "benchmarks/results/*", "records of earlier measurements, as they were written"),
    ("*", "tests/lint/*", "the rules themselves, and the tests that plant words"),
    ("*told", "service/webhooks/messages.py", "names of schemas in the OpenAPI document"),
    ("asked", "service/runs/bulk_routes.py", "a field of the response"),
]
"""Name or phrase (a pattern of fnmatch), path (likewise), and the reason: wire names, public names, quotations."""


def is_allowed(match: str, path: str) -> bool:
    """Return whether an exception covers the match in this file."""
    return any(fnmatch(match.lower(), name) and fnmatch(path, where) for name, where, _ in ALLOWED)
