"""The service's own numbers of engines, processes and cards in Prometheus' text format, made anew for each reading.

Made here and not with OpenTelemetry's instruments, which would go on telling of processes that have ended.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tandem_inference.engines.engine_state import EngineState
from tandem_inference.engines.fleet import Fleet
from tandem_inference.gateway.admission.snapshot import AdmissionSnapshot
from tandem_inference.gateway.request_class import RequestClass
from tandem_inference.observation.memory import Memory
from tandem_inference.planner.units import GIB
from tandem_telemetry import names

Row = tuple[tuple[str, ...], float | None]


def own_gauges(fleet: Fleet, admissions: Mapping[str, AdmissionSnapshot], memory: Memory) -> str:
    """Return the text; what is not known is left out."""
    metrics = [*_states(fleet), *_slots(admissions), *_plans(fleet), *_processes(memory), *_cards(memory)]
    return generate_latest(_Readings([metric for metric in metrics if metric.samples])).decode()


class _Readings(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _states(fleet: Fleet) -> Iterator[Metric]:
    yield _gauge(
        names.ENGINE_STATE,
        "",
        "1 for the state that the engine is in, 0 for the others.",
        (names.ENGINE, names.STATE),
        [
            ((engine.declared.name, state), float(engine.state is state))
            for engine in fleet.engines
            for state in EngineState
        ],
    )


def _slots(admissions: Mapping[str, AdmissionSnapshot]) -> Iterator[Metric]:
    engine, per_class = (names.ENGINE,), (names.ENGINE, names.REQUEST_CLASS)
    slots = [((name,), now.slots) for name, now in admissions.items()]
    limits = [((name,), now.background_limit) for name, now in admissions.items()]
    classes = [
        ((name, request_class), now)
        for name, admission in admissions.items()
        for request_class, now in (
            (RequestClass.INTERACTIVE, admission.interactive),
            (RequestClass.BACKGROUND, admission.background),
        )
    ]
    yield _gauge(names.ADMISSION_SLOTS, "", "Sequences that an engine runs at once.", engine, slots)
    yield _gauge(
        names.ADMISSION_BACKGROUND_LIMIT, "", "Slots that background may use at this moment.", engine, limits
    )
    yield _gauge(
        names.ADMISSION_RUNNING, "", "Slots in use.", per_class, [(who, now.running) for who, now in classes]
    )
    yield _gauge(
        names.ADMISSION_WAITING,
        "",
        "Requests that wait for a slot.",
        per_class,
        [(who, now.waiting) for who, now in classes],
    )
    yield _gauge(
        names.ADMISSION_OLDEST_WAIT,
        "seconds",
        "How long the request that has waited longest waits by now.",
        per_class,
        [(who, now.oldest_wait_seconds) for who, now in classes],
    )


def _plans(fleet: Fleet) -> Iterator[Metric]:
    """The KV cache of each engine that has been compared with its plan."""
    pairs = [
        (engine.declared.name, pair)
        for engine in fleet.engines
        if engine.plan is not None and engine.plan.comparison is not None
        for pair in engine.plan.comparison.pairs
        if pair.name == "kv_cache_gib"
    ]
    labels = (names.ENGINE,)
    planned = [((name,), pair.predicted * GIB) for name, pair in pairs]
    reported = [((name,), pair.reported * GIB) for name, pair in pairs]
    errors = [((name,), pair.error) for name, pair in pairs]
    yield _gauge(names.KV_CACHE_PLANNED, "bytes", "KV cache as the planner computed it.", labels, planned)
    yield _gauge(names.KV_CACHE_REPORTED, "bytes", "KV cache as the engine logged it.", labels, reported)
    yield _gauge(
        names.KV_CACHE_ERROR,
        "ratio",
        "Difference of planned and reported KV cache, as a share of the reported.",
        labels,
        errors,
    )


def _processes(memory: Memory) -> Iterator[Metric]:
    labels = (names.ENGINE, names.PROCESS_ROLE, names.PROCESS_ID)
    who = [((p.engine or "", p.role, str(p.pid)), p) for p in memory.processes]
    yield _gauge(
        names.PROCESS_RESIDENT_MEMORY,
        "bytes",
        "Host memory of a process (RSS); pages that processes share count in each of them.",
        labels,
        [(told, process.rss_bytes) for told, process in who],
    )
    yield _gauge(
        names.PROCESS_PROPORTIONAL_MEMORY,
        "bytes",
        "Host memory of a process (PSS); shared pages are divided, so sums are right.",
        labels,
        [(told, process.pss_bytes) for told, process in who],
    )
    yield _gauge(
        names.PROCESS_UNIQUE_MEMORY,
        "bytes",
        "Host memory that only this process has (USS).",
        labels,
        [(told, process.uss_bytes) for told, process in who],
    )


def _cards(memory: Memory) -> Iterator[Metric]:
    cards = [((str(card.index), card.name or ""), card) for card in memory.cards.cards]
    labels = (names.GPU, names.GPU_NAME)
    sizes = (
        (names.GPU_MEMORY_TOTAL, "Memory of a card.", [(who, card.total_bytes) for who, card in cards]),
        (names.GPU_MEMORY_USED, "Memory of a card in use.", [(who, card.used_bytes) for who, card in cards]),
        (names.GPU_MEMORY_FREE, "Memory of a card left.", [(who, card.free_bytes) for who, card in cards]),
    )
    for name, description, rows in sizes:
        yield _gauge(name, "bytes", description, labels, rows)
    busy = [
        (who, None if card.utilization_percent is None else card.utilization_percent / 100)
        for who, card in cards
    ]
    yield _gauge(names.GPU_UTILIZATION, "ratio", "Share of time in which the card worked.", labels, busy)
    yield _gauge(
        names.GPU_PROCESS_MEMORY,
        "bytes",
        "Memory of a card that a process uses; without an engine's name where it is none of ours.",
        (names.GPU, names.ENGINE, names.PROCESS_ROLE, names.PROCESS_ID),
        _on_cards(memory),
    )


def _on_cards(memory: Memory) -> Iterator[Row]:
    for card in memory.cards.cards:
        for process in card.processes or ():
            owner = memory.owner(process.pid)
            engine, role = (owner.engine or "", owner.role) if owner else ("", "")
            yield (str(card.index), engine, role, str(process.pid)), process.used_bytes


def _gauge(name: str, unit: str, description: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    gauge = GaugeMetricFamily(
        "_".join(part for part in (plain_name(name), unit) if part),
        description,
        labels=[plain_name(label) for label in labels],
    )
    for values, number in rows:
        if number is not None:
            gauge.add_metric(values, number)
    return gauge


def plain_name(name: str) -> str:
    """OpenTelemetry's name as Prometheus writes it."""
    return name.replace(".", "_")
