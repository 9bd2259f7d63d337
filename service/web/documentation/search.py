"""Full-text search over the sections of the documentation, with SQLite's FTS5."""

from __future__ import annotations

import functools
import re
import threading
from typing import NamedTuple

from markupsafe import Markup, escape
from pysqlite3 import dbapi2 as sqlite

from service.web.documentation.files import address, documents
from service.web.documentation.markdown import document

WORD = re.compile(r"\w+")
OPEN, CLOSE = "\x01", "\x02"
"""Marks around hits in excerpts; no text contains them."""
MAX_WORDS, MAX_HITS = 12, 30
WEIGHTS = (0.0, 0.0, 6.0, 10.0, 1.0)
"""Of a hit in each column: none for path and anchor, then page title, heading and text."""
_lock = threading.Lock()


class Hit(NamedTuple):
    """A section that has all words of a query."""

    address: str
    page: str
    heading: str
    excerpt: Markup


def search(query: str) -> list[Hit]:
    """Return the sections with all words of ``query``, the best first; the last letters of a word may be missing."""
    words = WORD.findall(query)[:MAX_WORDS]
    if not words:
        return []
    expression = " ".join(f'"{word}"*' for word in words)
    statement = (
        "SELECT path, anchor, page, heading, snippet(sections, 4, ?, ?, '…', 28) FROM sections "  # noqa: S608 - constants
        f"WHERE sections MATCH ? ORDER BY bm25(sections, {', '.join(map(str, WEIGHTS))}) LIMIT {MAX_HITS}"
    )
    with _lock:
        rows = _index().execute(statement, (OPEN, CLOSE, expression)).fetchall()
    return [
        Hit(f"{address(path)}#{anchor}", page, heading, _marked(excerpt))
        for path, anchor, page, heading, excerpt in rows
    ]


def _marked(excerpt: str) -> Markup:
    """Return an excerpt with its hits marked."""
    text = str(escape(excerpt)).replace(OPEN, "<mark>").replace(CLOSE, "</mark>")
    return Markup(text)  # noqa: S704 - escaped above


@functools.cache
def _index() -> sqlite.Connection:
    """Return a database in memory with all sections. ``_lock`` guards it."""
    connection = sqlite.connect(":memory:", check_same_thread=False)
    connection.execute(
        "CREATE VIRTUAL TABLE sections USING fts5("
        "path UNINDEXED, anchor UNINDEXED, page, heading, body, tokenize = 'unicode61')"
    )
    rows = [
        (path, one.anchor, document(path).title, one.title, one.text)
        for path in documents()
        for one in document(path).sections
    ]
    connection.executemany("INSERT INTO sections VALUES (?, ?, ?, ?, ?)", rows)
    return connection
