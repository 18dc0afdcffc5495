"""Field errors name the field as the caller wrote it."""

import pytest

from tandem_contracts.problem import field_errors


@pytest.mark.parametrize(
    ("error", "field"),
    [
        ({"type": "missing", "loc": ("body", "content"), "msg": "Field required"}, "content"),
        ({"type": "json_invalid", "loc": ("body", 17), "msg": "JSON decode error"}, "body"),
        ({"type": "missing", "loc": ("body",), "msg": "Field required"}, "body"),
        ({"type": "int_parsing", "loc": ("query", "limit"), "msg": "no integer"}, "query.limit"),
        ({"type": "missing", "loc": ("body", "turns", 2, "role"), "msg": "Field required"}, "turns.2.role"),
    ],
)
def test_field_is_named_as_the_caller_knows_it(error: dict[str, object], field: str) -> None:
    assert field_errors([error])[0].field == field
