"""Reproductions with real training: each one at its quick scale, by the client and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from typer.testing import CliRunner

import fitwell
from fitwell.cli import app
from fitwell.exit_codes import Exit
from fitwell.reproductions import ClaimResult
from service.reproductions.definition import Claim, Scale
from service.reproductions.parts import PartOrder
from service.reproductions.published import reproductions
from service.reproductions.rules import Direction
from service.runs.bodies import run_of
from service.settings import Settings
from service.store.database import open_engine
from service.studies.service import Studies
from tests.patience import scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
QUICK: Scale = "quick"
OPPOSITE = {"lower": "higher", "higher": "lower"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("reproductions") / "home", workers=2) as one:
        yield one


@pytest.fixture(scope="module")
def studies(served: Serving) -> Iterator[Studies]:
    """The studies of the server's database, to ask them what no client can."""
    settings = Settings(data_dir=served.home)
    engine = open_engine(settings)
    yield Studies(engine, settings, run_of)
    engine.dispose()


@pytest.mark.timeout(3600)  # the largest trains hundreds of runs, beside other tests
@pytest.mark.parametrize("name", reproductions())
def test_every_claim_has_a_verdict_with_the_figures_of_the_comparison(
    name: str, served: Serving, studies: Studies
) -> None:
    client, definition = served.client, reproductions()[name]
    if (missing := client.reproductions.get(name).scales[QUICK].missing) is not None:
        with pytest.raises(fitwell.BadRequest, match="fitwell data fetch") as refused:
            client.reproductions.start(name)
        assert refused.value.errors[0]["message"] == missing
        return
    done = client.reproductions.start(name).wait(scaled(600))
    assert set(done.runs_by_status) == {"succeeded"}
    assert {claim.name for claim in done.claims} == set(definition.claims_at(QUICK))
    for claim in done.claims:
        assert claim.result is not None
        assert claim.result.verdict in ("reproduced", "not_reproduced", "undecided"), claim.result.explanation
        assert claim.result.study_id is not None
        check_figures(served, studies, claim.result, definition.claims[claim.name])


def check_figures(served: Serving, studies: Studies, result: ClaimResult, claim: Claim) -> None:
    """Compare the figures with the study's own comparison; the opposite of a clear direction is not reproduced."""
    assert result.study_id is not None
    rule = claim.rule
    if isinstance(rule, PartOrder):
        check_parts(served, result, rule)
        return
    compared = studies.compare(result.study_id, rule.question())
    groups = {group.id: group for group in compared.comparison.groups}
    pairs = {(pair.group, pair.baseline): pair for pair in compared.comparison.pairs}
    assert result.figures
    for figure in result.figures:
        one = groups[figure.arm] if figure.against is None else pairs[figure.arm, figure.against]
        assert (figure.mean, figure.std, figure.ci) == (one.mean, one.std, one.interval)
    if isinstance(rule, Direction) and result.verdict == "reproduced":
        planted = rule.model_copy(update={"direction": OPPOSITE[rule.direction]})
        judgment = planted.judge(compared.comparison, lower_is_better=compared.lower_is_better, due=True)
        assert judgment.verdict == "not_reproduced"


def check_parts(served: Serving, result: ClaimResult, rule: PartOrder) -> None:
    """Compare the figures with the differences of the arms' bias or variance."""
    decomposed = served.client.studies.get(result.study_id or "").bias_variance(at=result.at)
    parts = {arm.arm: getattr(arm.losses[rule.loss], rule.part) for arm in decomposed.arms}
    assert [(figure.arm, figure.against) for figure in result.figures] == list(pairwise(rule.arms))
    for figure in result.figures:
        assert figure.mean == pytest.approx(parts[figure.arm] - parts[figure.against or ""])


def test_command_starts_waits_and_prints_verdicts_and_costs_nothing_again(served: Serving) -> None:
    first = run_command(served, "reproduce", "krogh1991", "--json")
    assert first.exit_code == Exit.OK, first.output
    view = json.loads(first.stdout)
    assert (view["status"], view["scale"]) == ("finished", "quick")
    again = run_command(served, "reproduce", "krogh1991")
    assert again.exit_code == Exit.OK
    for text in ("this server", "verdict", "lower with decay"):
        assert text in again.stdout
    assert json.loads(run_command(served, "reproduce", "krogh1991", "--json").stdout) == view


def test_command_without_a_name_lists_all(served: Serving) -> None:
    assert "prechelt1998" in run_command(served, "reproduce").stdout
    listed = json.loads(run_command(served, "reproduce", "--json").stdout)
    assert [one["name"] for one in listed] == list(reproductions())


def test_command_refuses_an_unknown_name(served: Serving) -> None:
    refused = run_command(served, "reproduce", "krogh")
    assert isinstance(refused.exception, fitwell.errors.ReproductionNotFound)
    assert "krogh1991" in str(refused.exception)


def test_report_is_downloaded(served: Serving, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("reports")
    reproduction = served.client.reproductions.start("krogh1991").wait(scaled(300))
    assert "Studies and rules, fixed before any run" in reproduction.report(folder).read_text()
    assert reproduction.report(folder, "csv").name == "krogh1991-quick.csv"


def run_command(served: Serving, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--url", served.client.transport.url])
