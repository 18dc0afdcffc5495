"""The waiting tickets of one class: round robin over tenants, first come first served inside a tenant.

Every operation takes the same time however many wait. Who may run is decided by `slots`.
"""

from collections import OrderedDict

from tandem_inference.gateway.admission.ticket import Ticket

_Line = OrderedDict[Ticket, None]  # a linked list with membership: the front and any member go in O(1)


class FairQueue:
    """Tickets in the order in which they are to be served."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, _Line] = OrderedDict()  # the front one's turn is next
        self._returned: _Line = OrderedDict()  # had their turn already, before their engine died
        self._arrivals: _Line = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrivals)

    def push(self, ticket: Ticket, *, first: bool = False) -> None:
        """Add `ticket` at the end of its tenant's line, or before all others."""
        self._arrivals[ticket] = None
        if first:
            self._returned[ticket] = None
            self._arrivals.move_to_end(ticket, last=False)
        else:
            self._tenants.setdefault(ticket.tenant, OrderedDict())[ticket] = None

    def head(self) -> Ticket | None:
        """The ticket whose turn it is, None when nobody waits."""
        if self._returned:
            return next(iter(self._returned))
        for line in self._tenants.values():
            return next(iter(line))
        return None

    def oldest(self) -> Ticket | None:
        """The ticket that has waited longest."""
        return next(iter(self._arrivals), None)

    def pop(self) -> None:
        """Take the head out; its tenant's next turn comes after one of every other tenant."""
        ticket = self.head()
        if ticket is None:
            raise IndexError("nobody waits")
        served = ticket not in self._returned
        self.remove(ticket)
        if served and ticket.tenant in self._tenants:
            self._tenants.move_to_end(ticket.tenant)

    def remove(self, ticket: Ticket) -> None:
        """Take `ticket` out, wherever it stands; the others keep their order."""
        del self._arrivals[ticket]
        if ticket in self._returned:
            del self._returned[ticket]
            return
        line = self._tenants[ticket.tenant]
        del line[ticket]
        if not line:
            del self._tenants[ticket.tenant]
