"""One call sets a process up; it is tried in processes of its own, because OpenTelemetry keeps its first providers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

SCRIPT = """
import asyncio, logging
import httpx
from fastapi import FastAPI
from opentelemetry import metrics, trace
from tandem_telemetry import configure_telemetry, instrument_app, instrument_client

telemetry = configure_telemetry("probe")
app = FastAPI()

@app.get("/hello/{name}")
async def hello(name: str) -> str:
    logging.getLogger("probe").info("said.hello")
    return name

@app.get("/health")
async def health() -> str:
    return "ok"

instrument_app(app)
metrics.get_meter("probe").create_counter("tandem.probe.hellos", "{hello}").add(3)

async def main() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client:
        instrument_client(client)
        with trace.get_tracer("probe").start_as_current_span("root"):
            await client.get("/hello/ann")
        await client.get("/hello/bob")
        await client.get("/health")
        answer = await client.get("/metrics")
    print(answer.headers["content-type"])
    print(answer.text, end="")

asyncio.run(main())
telemetry.shutdown()
telemetry.shutdown()
"""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "TANDEM_"))}
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_logs_spans_and_metrics_come_from_one_call(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    done = run(SCRIPT, TANDEM_TRACE_FILE=str(file))
    assert done.returncode == 0, done.stderr
    out = done.stdout.splitlines()
    logged = [json.loads(line) for line in out if line.startswith("{")]
    spans: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]

    (root,) = [span for span in spans if span["name"] == "root"]
    joined = [span for span in spans if span["context"]["trace_id"] == root["context"]["trace_id"]]
    assert [span["name"] for span in joined] == ["GET /hello/{name}", "GET", "root"]
    assert all(span["resource"]["attributes"]["service.name"] == "tandem-probe" for span in spans)
    served = [span["attributes"]["url.path"] for span in spans if "url.path" in span["attributes"]]
    assert served == ["/hello/ann", "/hello/bob"], "polls belong in no trace"

    hello = next(line for line in logged if line["event"] == "said.hello")
    assert f"0x{hello['trace_id']}" == root["context"]["trace_id"]
    assert hello["service"] == "probe"

    text = "\n".join(line for line in out if not line.startswith(("{", "text/plain"))) + "\n"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert [sample.value for sample in families["tandem_probe_hellos"].samples if "total" in sample.name] == [
        3.0
    ]
    assert "http_server_request_duration_seconds" in families
    assert any(line.startswith("text/plain") for line in out)


def test_unknown_log_level_is_explained_with_those_allowed() -> None:
    done = run(
        'from tandem_telemetry import configure_telemetry\nconfigure_telemetry("probe")',
        TANDEM_LOG_LEVEL="loud",
    )
    assert "TANDEM_LOG_LEVEL: expected one of DEBUG, INFO, WARNING, ERROR, got 'LOUD'" in done.stderr


def test_process_works_and_ends_when_nobody_collects_its_spans() -> None:
    done = run(SCRIPT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert done.returncode == 0, done.stderr
    assert "tandem_probe_hellos_total" in done.stdout
