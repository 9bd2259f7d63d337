"""Pages of reproductions at full scale, from the results that a server returned.

``python -m docs.reproduction_pages [URL]`` saves the results of every reproduction that has finished at full scale on a
server, by default that of ``FITWELL_URL``, as ``docs/science/reproductions/NAME.json``. ``python -m docs.generate``
writes the pages from these files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitwell
from service.reproductions.published import reproductions

RESULTS = Path(__file__).parent / "science/reproductions"
ABOUT = """\
# Reproductions at full scale

Published claims, tested again with `fitwell reproduce NAME --scale full`. Rules are fixed before any run, and every
figure is the server's. *Undecided* and *not reproduced* stay; the studies are smaller than the sources', so neither
says that a source is wrong. [Test published claims again](../../howto/reproductions.md) explains the verdicts.

| reproduction | source | claims | runs | training |
|---|---|---|---|---|
"""
CHANGED = "The definition has changed since; these are the results of the earlier one.\n\n"


def save(client: fitwell.Client) -> list[Path]:
    """Save the results of every reproduction that has finished at full scale; return the files."""
    saved = []
    for listed in client.reproductions.list():
        state = client.reproductions.get(listed.name, "full")
        if state.terminal and state.finished_at is not None:
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"{state.name}.json"
            text = json.dumps(json.loads(state.model_dump_json()), indent=1, ensure_ascii=False, sort_keys=True)
            path.write_text(text + "\n")
            saved.append(path)
    return saved


def pages() -> dict[str, Callable[[], str]]:
    """Return the pages by file name: one for each result, and the list of all."""
    results = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
    written: dict[str, Callable[[], str]] = {f"{name}.md": _page_of(path) for name, path in results.items()}
    return {"README.md": lambda: ABOUT + "".join(_row(_read(path)) for path in results.values()), **written}


def _page_of(path: Path) -> Callable[[], str]:
    return lambda: page(_read(path))


def _read(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _row(result: dict[str, Any]) -> str:
    """Return the row of a reproduction in the list."""
    source, machines = result["source"], result["trained_on"]
    counts = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in result["verdicts"].items())
    runs, seconds = sum(one["runs"] for one in machines), sum(one["seconds"] for one in machines)
    return (
        f"| [{result['name']}]({result['name']}.md) | {_credit(source)} | {counts} | {runs:,} | "
        f"{_duration(seconds)} |\n"
    )


def _credit(source: dict[str, Any]) -> str:
    """Return the authors, and the year if the source has one."""
    return f"{source['authors']}, {source['year']}" if source["year"] else str(source["authors"])


def page(result: dict[str, Any]) -> str:
    """Return the page of a reproduction: its claims with what was expected, the figures and the verdicts."""
    source = result["source"]
    title = f"[{source['title']}]({source['url']})" if source["url"] else f"*{source['title']}*"
    venue = f", {source['venue']}" if source["venue"] else ""
    machines = "".join(_machine(one) for one in result["trained_on"])
    claims = "".join(_claim(claim) for claim in result["claims"])
    return (
        f"# {result['title']}\n\n{_credit(source)}, {title}{venue}.\n\n{result['question']}\n\n"
        f"{'' if _is_current(result) else CHANGED}"
        f"Trained until {result['finished_at'][:10]} with `fitwell reproduce {result['name']} --scale full`:\n\n"
        f"{machines}\n"
        "| claim | expected | here | verdict |\n|---|---|---|---|\n"
        f"{claims}\n## How the studies differ\n\n{result['deviations']}\n\n"
        f"## Rules\n\n{''.join(_rule(claim) for claim in result['claims'])}"
    )


def _is_current(result: dict[str, Any]) -> bool:
    """Return whether the result belongs to the current studies and claims."""
    definition = reproductions().get(result["name"])
    return definition is not None and result["definition_hash"] == f"sha256:{definition.digest('full')}"


def _machine(one: dict[str, Any]) -> str:
    reused = f", {one['reused']:,} of them reused" if one["reused"] else ""
    return f"- {one['runs']:,} runs{reused} on `{one['class']}`, {_duration(one['seconds'])} of training\n"


def _claim(claim: dict[str, Any]) -> str:
    result = claim["result"]
    where = f"<br>{claim['place']}" if claim["place"] else ""
    figures = (
        f"`{result['metric']}` {result['at']}: {result['explanation']}" if result["metric"] else result["explanation"]
    )
    verdict = result["verdict"].replace("_", " ")
    return f"| {_cell(claim['statement'])} | {_cell(claim['expected'] + where)} | {_cell(figures)} | **{verdict}** |\n"


def _rule(claim: dict[str, Any]) -> str:
    alpha = claim["result"]["alpha"]
    return f"- {claim['statement']} {claim['rule_text']}{'' if alpha is None else f' α = {alpha:.3g}.'}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _duration(seconds: float) -> str:
    """Return seconds, minutes or hours in words."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    for path in save(fitwell.Client(*sys.argv[1:2])):
        print(f"Saved {path}")
