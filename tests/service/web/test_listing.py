"""The list of runs: folded studies, search by name and labels."""

from __future__ import annotations

import html
import re

from fastapi.testclient import TestClient

from tests.conftest import body


def test_runs_of_a_study_are_one_row(client: TestClient) -> None:
    arms = {"plain": {}, "Dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.5}]}}
    for name in ("first", "second"):
        client.post("/v1/studies", json={"name": f"The {name} study", "base": body(), "arms": arms, "seeds": 3})
        client.post("/v1/runs", json=body(name=f"after the {name}"))

    def rows(address: str) -> list[str]:
        page = client.get(address, headers={"accept": "text/html"}).text
        return [html.unescape(title) for title in re.findall(r'class="row-link" href="[^"]+">([^<]+)</a>', page)]

    assert rows("/") == ["after the second", "The second study", "after the first", "The first study"]
    assert rows("/?sort=created_at") == rows("/")[::-1]
    assert len(rows("/?group=none")) == 14
    assert rows("/?name=SECOND") == ["after the second", "The second study"]
    assert rows("/?name=dropout&filter=seed+%3D+1+OR+seed+%3D+2") == ["The second study", "The first study"]
    opened = client.get("/v1/studies").json()["data"][0]["id"]
    assert rows(f"/?name=dropout&open={opened}") == [
        "The second study",
        *(f"Dropout · seed {seed}" for seed in (2, 1, 0)),
        "The first study",
    ]
    answer = client.get("/?name=x&filter=zz+%3D+(1", headers={"accept": "text/html"})
    assert "syntax error at character 6" in answer.text


def test_labels_select_runs_and_remain_in_every_address(client: TestClient) -> None:
    client.post("/v1/runs", json=body(name="both", labels={"course": "a=b", "week": "1"}))
    client.post("/v1/runs", json=body(name="one", labels={"course": "a=b"}, seed=2))
    page = client.get("/?label=course%3Da%3Db&label=week%3D1", headers={"accept": "text/html"}).text
    assert "both" in page
    assert ">one<" not in page
    assert 'href="/?label=week%3D1" aria-label="Show runs without the label course=a=b too"' in " ".join(page.split())
    assert 'data-csv="/v1/runs?sort=-created_at&amp;limit=1000&amp;label=course%3Da%3Db&amp;label=week%3D1"' in page
