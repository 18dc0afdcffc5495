"""The dashboard asks for metrics that the services emit, by the names that they emit them under. Needs no engine."""

import json
import re
from typing import Any

from tandem_local.checkout import ROOT
from tandem_telemetry import names

DASHBOARD = ROOT / "docker" / "observability" / "grafana" / "dashboards" / "tandem.json"
# What Prometheus' exporter adds to a name: the unit, then the kind of instrument.
ADDED = r"(_seconds|_bytes)?(_total|_bucket|_sum|_count)?"


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return document


def queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def asked_for() -> set[str]:
    """Return every metric of ours in the queries; what stands in `by (...)` is a label."""
    return {
        name for query in queries() for name in re.findall(r"tandem_\w+", re.sub(r"by \([^)]*\)", "", query))
    }


def grouped_by() -> set[str]:
    groups = [group for query in queries() for group in re.findall(r"by \(([^)]*)\)", query)]
    return {label for group in groups for label in group.split(", ")}


def test_every_metric_asked_for_is_one_that_services_emit() -> None:
    emitted = {str(value).replace(".", "_") for key, value in vars(names).items() if key.isupper()}
    known = re.compile("|".join(f"{name}{ADDED}" for name in emitted))
    assert asked_for()
    assert [name for name in asked_for() if not known.fullmatch(name)] == []


def test_every_label_asked_for_is_an_attribute_that_services_set() -> None:
    attributes = {str(value).replace(".", "_") for key, value in vars(names).items() if key.isupper()}
    assert grouped_by() - attributes - {"le", "instance", "http_response_status_code"} == set()


def test_every_panel_has_a_title_and_a_query() -> None:
    assert [panel["id"] for panel in dashboard()["panels"] if not (panel["title"] and panel["targets"])] == []
