"""Markdown as HTML: CommonMark with tables, as on code hosting sites, without HTML in the source.

Headings have the ids that links of the documentation use. Links to files that the server lacks, such as source code,
become text.
"""

from __future__ import annotations

import functools
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from service.web.documentation.files import address, documents

EXTERNAL = re.compile(r"[a-z]+:", re.IGNORECASE)
NOT_IN_SLUG = re.compile(r"[^\w\- ]")
MAX_LISTED_LEVEL = 2
"""Headings up to this level are listed at the top of a page."""


class Section(NamedTuple):
    """A heading and the text up to the next one."""

    level: int
    anchor: str
    title: str
    text: str


class Document(NamedTuple):
    """A page."""

    path: str
    title: str
    body: Markup
    sections: tuple[Section, ...]

    @property
    def listed(self) -> list[Section]:
        """The sections in the page's table of contents."""
        return [one for one in self.sections[1:] if one.level <= MAX_LISTED_LEVEL]


@functools.cache
def document(path: str) -> Document:
    """Return a page.

    Args:
        path: Below the documentation's folder, such as ``howto/compare.md``.

    Raises:
        KeyError: The page does not exist.
    """
    parser = _parser()
    tokens = [token for token in parser.parse(documents()[path]) if not _is_comment(token)]
    anchors = _set_anchors(tokens)
    for token in tokens:
        _rewrite(token, posixpath.dirname(path))
    sections = tuple(_sections(tokens, anchors))
    body = Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - escaped by the renderer
    return Document(path, sections[0].title if sections else path, body, sections)


def slug(title: str) -> str:
    """Return the id of a heading, as code hosting sites make it."""
    return NOT_IN_SLUG.sub("", title.lower()).replace(" ", "-")


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("html_block", _escaped)
    parser.add_render_rule("html_inline", _escaped)
    return parser


def _table_open(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    return '<div class="scroll" tabindex="0"><table>\n'  # keyboards scroll what has the focus


def _table_close(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    return "</table></div>\n"


def _fence(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    rendered: str = RendererHTML.fence(renderer, tokens, index, options, environment)
    return rendered.replace("<pre>", '<pre tabindex="0">', 1)


def _escaped(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    return "" if _is_comment(tokens[index]) else str(escape(tokens[index].content))


def _is_comment(token: Token) -> bool:
    return token.type in ("html_block", "html_inline") and token.content.lstrip().startswith("<!--")


def _set_anchors(tokens: Sequence[Token]) -> dict[int, str]:
    """Set the ids of headings; return them by the position of the heading's token."""
    anchors: dict[int, str] = {}
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            base = slug(_plain(tokens[index + 1]))
            earlier = sum(re.sub(r"-\d+\Z", "", one) == base for one in anchors.values())
            anchors[index] = f"{base}-{earlier}" if earlier else base
            token.attrSet("id", anchors[index])
    return anchors


def _rewrite(token: Token, folder: str) -> None:
    """Change links to the server's addresses, and the alignment of cells from styles to classes."""
    if "right" in str(token.attrs.get("style", "")):
        token.attrSet("class", "num")
    token.attrs.pop("style", None)  # pages may not have inline styles
    dropped = 0
    for child in token.children or ():
        if child.type == "image":
            source = address(posixpath.normpath(posixpath.join(folder, str(child.attrs["src"]))))
            child.attrSet("src", source or str(child.attrs["src"]))
        elif child.type == "link_open":
            target = _target(str(child.attrs["href"]), folder)
            if target is None:
                child.type, child.hidden, dropped = "text", True, dropped + 1
            else:
                child.attrSet("href", target)
        elif child.type == "link_close" and dropped:
            child.type, child.hidden, dropped = "text", True, dropped - 1


def _target(href: str, folder: str) -> str | None:
    """Return the address that a link leads to, or None if the server does not have the file."""
    path, hash_sign, anchor = href.partition("#")
    if not path or EXTERNAL.match(href):
        return href
    known = address(posixpath.normpath(posixpath.join(folder, path)))
    return None if known is None else known + hash_sign + anchor


def _sections(tokens: Sequence[Token], anchors: dict[int, str]) -> Iterator[Section]:
    """Yield the sections of a page, each with its text."""
    starts = [*anchors, len(tokens)]
    for start, end in itertools.pairwise(starts):
        texts = [_plain(one) for one in tokens[start + 2 : end] if one.type in ("inline", "fence", "code_block")]
        level = int(tokens[start].tag.removeprefix("h"))
        yield Section(level, anchors[start], _plain(tokens[start + 1]), "\n\n".join(texts))


def _plain(token: Token) -> str:
    """Return the text of a token without markup."""
    if token.type != "inline":
        return token.content
    return "".join("\n" if child.type == "softbreak" else child.content for child in token.children or ())
