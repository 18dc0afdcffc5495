"""Requests made up from chat's own OpenAPI document get what the document says: never a defect, always a declared shape.

The same few hundred each time, so that a failure can be repeated. The streams are among them: a reply ends by itself.
"""

from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tandem_chat.entrypoints.http.app import create_app
from tandem_chat.settings import ChatSettings
from tests.support.chat_process import ChatProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIG = SchemathesisConfig(
    seed=20,
    projects=ProjectsConfig(
        default=ProjectConfig(
            generation=GenerationConfig(deterministic=True),
            phases=PhasesConfig(coverage=CoveragePhaseConfig(enabled=False)),
        )
    ),
)
SCHEMA = schemathesis.openapi.from_dict(create_app(ChatSettings()).openapi(), config=CONFIG)
# Deleting would take away what the other requests are about; a feedback's stream stays open without a broker.
LASTING = SCHEMA.exclude(method="DELETE").exclude(path="/v1/feedback/{feedback_id}/events")


@pytest.fixture(scope="module")
def known_ids(chat_on_postgres: ChatProcess) -> dict[str, str]:
    """Ids of things that exist."""
    with httpx.Client(base_url=chat_on_postgres.url, trust_env=False) as http:
        conversation_id = http.post("/v1/conversations").json()["id"]
        http.post(f"/v1/conversations/{conversation_id}/messages", json={"content": "hello"})
        messages = http.get(f"/v1/conversations/{conversation_id}").json()["messages"]
        feedback = http.post(f"/v1/conversations/{conversation_id}/feedback").json()
    return {
        "conversation_id": conversation_id,
        "message_id": messages[-1]["id"],
        "feedback_id": feedback["id"],
    }


@SCHEMA.parametrize()
@EXAMPLES
def test_made_up_requests_get_declared_answers(case: Any, chat_on_postgres: ChatProcess) -> None:
    _call(case, chat_on_postgres)


@LASTING.parametrize()
@EXAMPLES
def test_made_up_requests_about_existing_things_get_declared_answers(
    case: Any, chat_on_postgres: ChatProcess, known_ids: dict[str, str]
) -> None:
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known_ids[name]
    _call(case, chat_on_postgres)


def _call(case: Any, chat: ChatProcess) -> None:
    with requests.Session() as session:
        session.trust_env = False
        case.call_and_validate(base_url=chat.url, session=session, checks=CHECKS, timeout=30)
