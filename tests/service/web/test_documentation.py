"""The documentation as pages: every page renders, every link leads somewhere, and search finds sections."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from markupsafe import Markup

import service.web
from service.web.documentation.concepts import PAGE, concept
from service.web.documentation.files import PREFIX, address, attachment, document_path, documents
from service.web.documentation.markdown import document, slug
from service.web.documentation.navigation import groups, pages_below
from service.web.documentation.search import search

DOCS = Path(__file__).parents[3] / "docs"
LINK = re.compile(r'(?:href|src)="([^"]+)"')


def test_every_markdown_file_is_a_page() -> None:
    assert set(documents()) == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_links_of_all_pages_lead_to_pages_headings_and_files() -> None:
    dangling = []
    for path in documents():
        for target in LINK.findall(document(path).body):
            page, _, anchor = unquote(target).partition("#")
            if page.startswith(("http:", "https:", "mailto:")):
                continue
            name = page.removeprefix(PREFIX).strip("/")
            leads_to = path if not page else document_path(name)
            if leads_to is None:
                known = page.startswith(PREFIX) and not anchor and bool(attachment(name) or pages_below(name))
            else:
                known = not anchor or anchor in {one.anchor for one in document(leads_to).sections}
            if not known:
                dangling.append((path, target))
    assert dangling == []


def test_pages_have_no_inline_styles_scripts_or_html_of_the_source() -> None:
    for path in documents():
        body = document(path).body
        assert " style=" not in body, path
        assert "<script" not in body, path
        assert "&lt;!--" not in body, path


def test_links_to_files_that_the_server_lacks_become_text() -> None:
    assert "transport.py" not in "".join(LINK.findall(document("adr/0018-client.md").body))
    assert address("../ARCHITECTURE.md") is None
    assert attachment("generate.py") is None
    assert attachment("../pyproject.toml") is None


def test_headings_have_the_ids_of_code_hosting_sites() -> None:
    assert slug("See, and change how it was read: `types`") == "see-and-change-how-it-was-read-types"
    assert [one.anchor for one in document("howto/compare.md").sections][:3] == [
        "compare-ways-to-train", "run-a-study", "read-the-verdict",
    ]  # fmt: skip


def test_navigation_is_the_index() -> None:
    titles = [group.title for group in groups()]
    assert titles == ["Start", "How-to guides", "Reference", "Operations", "Science", "Decisions"]
    assert groups()[1].links[0][:2] == ("Compare ways to train", "/documentation/howto/compare")
    linked = {link.path for group in groups() for link in group.links}
    unlinked = {path for path in documents() if path.split("/")[0] in ("howto", "reference")} - linked
    assert unlinked == set()


@pytest.mark.parametrize(
    ("query", "address", "heading"),
    [
        ("early stopping", "/documentation/howto/training-options#", None),
        ("scikit", "/documentation/howto/python#use-scikit-learn", "Use scikit-learn"),
        ("FITWELL_DATABASE_URL", "/documentation/reference/settings#settings", "Settings"),
        ("calibrat", None, None),
    ],
)
def test_search_lists_sections_with_all_words(query: str, address: str | None, heading: str | None) -> None:
    hits = search(query)
    assert hits
    matching = [hit for hit in hits if address is None or hit.address.startswith(address)]
    assert matching
    assert heading is None or heading in {hit.heading for hit in matching}
    assert any("<mark>" in hit.excerpt for hit in hits)


@pytest.mark.parametrize(
    ("question", "page", "heading"),
    [
        ("how do I upload a csv file?", "use-your-data", "Upload"),
        ("what does undecided mean", "concepts", "Verdict"),
        ("how many seeds do I need?", "read-a-study", "How many seeds do I need?"),
        ("early stopping", "training-options", "Stop early"),
        ("overfitting", "tutorial", "4. See it overfit"),
        ("missing values", "reading", "Missing values"),
        ("change the learning rate", "training-options", "Learning rate"),
        ("download the model", "use-models", "Download"),
        ("access tokens", "serve-others", "Create tokens"),
        ("pytorch", "from-pytorch-and-keras", "Come from PyTorch or Keras"),
    ],
)
def test_questions_of_newcomers_lead_to_guides(question: str, page: str, heading: str) -> None:
    best = search(question)[0]
    assert (best.address.partition("#")[0].rpartition("/")[2], best.heading) == (page, heading)


@pytest.mark.parametrize("query", ["", "  ", '"', "NEAR(", "a AND", "*", "x" * 200, "\x00", "zzzzqqq"])
def test_search_takes_any_text(query: str) -> None:
    assert search(query) == [] or query in ("a AND", "NEAR(")


def test_excerpts_are_escaped() -> None:
    excerpts = [hit.excerpt for hit in search("curl data")]
    assert excerpts
    for excerpt in excerpts:
        assert isinstance(excerpt, Markup)
        assert set(re.findall(r"<[^>]*>", excerpt)) <= {"<mark>", "</mark>"}


def test_help_on_pages_explains_terms_of_the_page_of_concepts() -> None:
    templates = (Path(service.web.__file__).parent / "templates").glob("*.html")
    pattern = re.compile(r"""parts\.help\(["']([^"']+)["']\)|parts\.chart\([^)]*, ["']([a-z-]{12,})["']\)""")
    used = {"".join(names) for file in templates for names in pattern.findall(file.read_text())}
    assert {"verdict", "look", "diagnosis", "like-for-like-curves"} <= used
    for anchor in used:
        assert concept(anchor).text.endswith(".")
        assert "\n" not in concept(anchor).text
    assert len(document(PAGE).sections) > 10


def test_every_concept_has_a_definition_an_example_and_a_link() -> None:
    text = documents()[PAGE]
    terms = {section.title: section.text for section in document(PAGE).sections[1:]}
    assert {
        "Arm",
        "Baseline",
        "Digest",
        "Fold",
        "Look",
        "Margin",
        "Pair",
        "Replicate",
        "Reuse",
        "Stack",
    } <= terms.keys()
    for title, body in terms.items():
        source = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert not body.startswith("Example:"), title
        assert "\n\nExample: " in body, title
        assert re.search(r"\]\([\w./#-]+\)", source), title
