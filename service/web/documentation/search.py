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
GUIDE = 1.0
"""Factor of the rank of tutorials, guides and concepts."""
FACTORS = {
    "reference": 0.6, "science": 0.45, "security.md": 0.4, "durability.md": 0.4, "adr": 0.3, "README.md": 0.3,
}  # fmt: skip
"""Factors of other pages, by the beginning of their path: most readers who search want to do something."""
TOKENIZERS = {"stems": "porter unicode61", "words": "unicode61"}
"""By table: words without their endings, and as they stand, of which the last letters may be missing."""
FILLERS = frozenset({
    "a", "an", "and", "are", "can", "do", "does", "for", "how", "i", "in", "is", "it", "my", "of", "on", "or", "the",
    "to", "what", "when", "which", "why", "with",
})  # fmt: skip
"""Words of questions that every page has; they count only if a query has no others."""
_lock = threading.Lock()


class Hit(NamedTuple):
    """A section that has all words of a query."""

    address: str
    page: str
    heading: str
    excerpt: Markup


def search(query: str) -> list[Hit]:
    """Return the sections with all words of ``query``, the best first; if no section does, with some of them.

    Words match in other forms, too: the last letters may be missing, and endings differ.
    """
    words = WORD.findall(query)
    words = [word for word in words if word.lower() not in FILLERS][:MAX_WORDS] or words[:MAX_WORDS]
    if not words:
        return []
    terms = [f'"{word}"*' if len(word) > 1 else f'"{word}"' for word in words]
    every = " ".join(terms)
    return _hits("stems", every) or _hits("words", every) or _hits("stems", " OR ".join(terms))


def _hits(table: str, expression: str) -> list[Hit]:
    """Return the sections that match an expression of FTS5, the best first."""
    statement = (
        f"SELECT path, anchor, page, heading, snippet({table}, 4, ?, ?, '…', 28) FROM {table} "  # noqa: S608 - constants
        f"WHERE {table} MATCH ? ORDER BY bm25({table}, {', '.join(map(str, WEIGHTS))}) * factor LIMIT {MAX_HITS}"
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
    rows = [
        (path, one.anchor, document(path).title, one.title, one.text, FACTORS.get(path.split("/")[0], GUIDE))
        for path in documents()
        for one in document(path).sections
    ]
    for table, tokenizer in TOKENIZERS.items():
        connection.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5(path UNINDEXED, anchor UNINDEXED, page, heading, body, "
            f"factor UNINDEXED, tokenize = '{tokenizer}')"
        )
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - constants
    return connection
