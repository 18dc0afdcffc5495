"""An engine's sequence slots and the two queues before them: decides who runs next. No clock, no asyncio.

Chat goes first, background uses what chat leaves except the reserve, and the floor keeps background moving under any chat.
"""

from tandem_inference.gateway.admission.fair_queue import FairQueue
from tandem_inference.gateway.admission.ticket import Phase, Ticket
from tandem_inference.gateway.request_class import RequestClass

_INTERACTIVE, _BACKGROUND = RequestClass.INTERACTIVE, RequestClass.BACKGROUND


class Slots:
    """`total` slots, shared by the rules; reserve and floor always leave one slot to the other class."""

    def __init__(self, total: int, *, reserve: int, floor: int) -> None:
        self.total = total
        self.reserve = min(reserve, total - 1)
        self.floor = min(floor, total - 1)
        self.running = dict.fromkeys(RequestClass, 0)
        self.queues = {request_class: FairQueue() for request_class in RequestClass}
        self._wide_had_turn = False  # a background ticket wider than the floor, and no chat since

    @property
    def free(self) -> int:
        """Slots that nobody uses, the reserve included."""
        return self.total - self.running[_INTERACTIVE] - self.running[_BACKGROUND]

    @property
    def background_limit(self) -> int:
        """How many slots background may use now."""
        return max(self.floor, self.total - self.reserve - self.running[_INTERACTIVE])

    def enter(self, ticket: Ticket, *, first: bool = False) -> None:
        """Let `ticket` run if the rules allow it now, else have it wait; `first` puts it before its whole class."""
        ticket.slots = min(ticket.sequences, self._widest(ticket.request_class))
        ticket.phase = Phase.WAITING
        self.queues[ticket.request_class].push(ticket, first=first)
        self._fill()  # admits this ticket or nobody: before it came, nobody else could run

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Take `ticket` out, running or waiting or neither; return the tickets that run because of it."""
        if ticket.phase is Phase.RUNNING:
            self.running[ticket.request_class] -= ticket.slots
        elif ticket.phase is Phase.WAITING:
            self.queues[ticket.request_class].remove(ticket)
        ticket.phase = Phase.OUT
        return self._fill()

    def _widest(self, request_class: RequestClass) -> int:
        """The most slots that one request of the class takes: as many as the class can ever have, the other one waiting."""
        return self.total - (self.floor if request_class is _INTERACTIVE else self.reserve)

    def _fill(self) -> list[Ticket]:
        admitted = []
        while (ticket := self._next()) is not None and ticket.slots <= self.free:
            self.queues[ticket.request_class].pop()
            self.running[ticket.request_class] += ticket.slots
            ticket.phase = Phase.RUNNING
            self._wide_had_turn = ticket.request_class is _BACKGROUND and ticket.slots > self.floor
            admitted.append(ticket)
        return admitted

    def _next(self) -> Ticket | None:
        """Whose turn it is. Slots are gathered for a ticket that needs several: nobody overtakes it meanwhile."""
        background = self.queues[_BACKGROUND].head()
        if background is not None and self._is_owed(background):
            return background
        if (interactive := self.queues[_INTERACTIVE].head()) is not None:
            return interactive
        if background is not None and self._fits(background):
            return background
        return None

    def _is_owed(self, ticket: Ticket) -> bool:
        """Whether the floor is this background ticket's now. One that is wider runs alone and takes turns with chat."""
        running = self.running[_BACKGROUND]
        if running + ticket.slots <= self.floor:
            return True
        chat_waits = len(self.queues[_INTERACTIVE]) > 0
        return self.floor > 0 and running == 0 and not (chat_waits and self._wide_had_turn)

    def _fits(self, ticket: Ticket) -> bool:
        return self.running[_BACKGROUND] + ticket.slots <= self.background_limit
