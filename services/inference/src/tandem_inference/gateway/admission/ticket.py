"""One request as admission sees it: its class, its tenant, and how many sequence slots it takes."""

from dataclasses import dataclass
from enum import Enum

from tandem_inference.gateway.request_class import RequestClass


class Phase(Enum):
    """Where a ticket stands; `OUT` is before it arrives and after it has left."""

    OUT = 0
    WAITING = 1
    RUNNING = 2


@dataclass(eq=False, slots=True)
class Ticket:
    """A request's place. `sequences` is what it asks for, `slots` what it takes; `arrived` in a steady clock's seconds."""

    request_class: RequestClass
    tenant: str = ""
    sequences: int = 1
    slots: int = 1
    arrived: float = 0.0
    phase: Phase = Phase.OUT
