"""The OpenAPI document is the one that clients were written for."""

from __future__ import annotations

from tests.service import openapi_contract
from tests.service.openapi_contract import contract, differences

UPDATE = "If the API has grown on purpose, run `make generate` and review the difference"


def test_document_equals_the_stored_copy_except_in_prose() -> None:
    changes = list(differences(openapi_contract.load(), contract(openapi_contract.current())))
    assert not changes, "\n".join([*changes, UPDATE])


def test_prose_is_ignored_and_properties_of_the_same_names_are_not() -> None:
    schema = {"title": "A", "properties": {"title": {"type": "string", "description": "B"}}, "examples": [1]}
    assert contract({"schemas": {"summary": schema}}) == {
        "schemas": {"summary": {"properties": {"title": {"type": "string"}}}}
    }


def test_each_change_is_reported_by_its_place() -> None:
    before = {"paths": {"/v1/runs": {"get": {"deprecated": False}}, "/old": {}}}
    after = {"paths": {"/v1/runs": {"get": {"deprecated": True}, "post": {}}}}
    assert list(differences(before, after)) == [
        "removed /paths/~1old",
        "changed /paths/~1v1~1runs/get/deprecated: false → true",
        "added /paths/~1v1~1runs/post",
    ]
