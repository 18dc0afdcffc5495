"""The compose file itself, run: what a user gets from it, and what its containers may do."""

import json
import re
import sys

import pytest

from tandem_local.checkout import ROOT
from tests.images.test_dashboard import asked_for, grouped_by
from tests.support.containers.stack import Stack

SERVICES = ["chat", "feedback", "inference-cpu", "postgres", "pubsub"]
CHAT = "http://127.0.0.1:8000"
SEEN_ONLY_WHEN_SOMETHING_IS_AMISS = {
    "tandem_engine_restarts_total",
    "tandem_feedback_waits_total",
    "tandem_gateway_client_disconnects_total",
    "tandem_outbox_failures_total",
}


def test_chat_answers_and_feedback_arrives(stack: Stack) -> None:
    done = stack.inside([sys.executable, str(ROOT / "docker" / "smoke.py"), CHAT], seconds=180)
    assert done.returncode == 0, done.stderr
    assert "chat answered: You said: What is the capital of France?" in done.stdout
    assert "feedback arrived:" in done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_no_more_than_it_must(stack: Stack, service: str) -> None:
    script = "id -u; grep -E '^(NoNewPrivs|CapEff|CapBnd)' /proc/1/status; touch /etc/x 2>&1 || true"
    told = stack.compose(["--profile=*", "exec", "--no-TTY", service, "bash", "-c", script]).stdout
    assert told.splitlines()[0] != "0"
    assert "NoNewPrivs:\t1" in told
    assert "CapEff:\t0000000000000000" in told
    assert "CapBnd:\t0000000000000000" in told
    assert "Read-only file system" in told


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_limits_that_the_engine_keeps(stack: Stack, service: str) -> None:
    limits = stack.inspect(service)["HostConfig"]
    assert limits["Memory"] > 0
    assert limits["PidsLimit"] > 0


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_in_an_environment(stack: Stack, service: str) -> None:
    environment = " ".join(stack.inspect(service)["Config"]["Env"])
    secrets = {file.name: file.read_text() for file in stack.secrets.iterdir()}
    assert secrets.pop("hf_token") == ""
    assert [name for name, secret in secrets.items() if secret in environment] == []


def test_the_engine_is_served_only_to_who_knows_the_token(stack: Stack) -> None:
    ask = f"import urllib.request as r; r.urlopen('{CHAT.replace('8000', '8800')}/v1/models')"
    refused = stack.inside([sys.executable, "-c", ask])
    assert "HTTP Error 401" in refused.stderr


def test_databases_are_closed_to_each_others_services(stack: Stack) -> None:
    script = 'PGPASSWORD=$(cat /run/secrets/chat_database_password) psql -h 127.0.0.1 -U chat -c "select 1" '
    own = stack.compose(["exec", "--no-TTY", "postgres", "bash", "-c", f"{script} chat"])
    other = stack.compose(["exec", "--no-TTY", "postgres", "bash", "-c", f"{script} feedback"])
    assert own.returncode == 0, own.stderr
    assert "permission denied for database" in other.stderr


def test_chat_says_in_its_log_that_it_listens_without_sign_in(stack: Stack) -> None:
    log = stack.compose(["logs", "--no-log-prefix", "chat"]).stdout.splitlines()
    events = [json.loads(line) for line in log if line.startswith("{")]
    warned = [event for event in events if event["event"] == "chat.listens_without_sign_in"]
    assert [event["level"] for event in warned] == ["WARNING"]


def test_what_the_dashboard_asks_for_is_there_once_chat_has_answered(stack: Stack) -> None:
    smoke = [sys.executable, str(ROOT / "docker" / "smoke.py"), CHAT]
    assert stack.inside(smoke, seconds=180).returncode == 0
    pages = ""
    for service, port in {"chat": 8000, "feedback": 8010, "inference-cpu": 8800}.items():
        page = (
            f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
        )
        python = "/opt/gateway/bin/python" if port == 8800 else "python"
        pages += stack.compose(["--profile=*", "exec", "--no-TTY", service, python, "-c", page]).stdout

    missing = {name for name in asked_for() if not re.search(rf"^{name}[ {{]", pages, flags=re.MULTILINE)}
    assert missing <= SEEN_ONLY_WHEN_SOMETHING_IS_AMISS
    missing_labels = {label for label in grouped_by() if f'{label}="' not in pages}
    assert missing_labels <= {"instance"}, "instance is Prometheus' own"
