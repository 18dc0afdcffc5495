"""Whose turn it is among the waiting of one class, whatever comes, goes and gives up."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tandem_inference.gateway.admission.fair_queue import FairQueue
from tandem_inference.gateway.admission.ticket import Ticket
from tandem_inference.gateway.request_class import RequestClass

TENANTS = ("", "acme", "globex", "initech")


def _ticket(tenant: str = "") -> Ticket:
    return Ticket(RequestClass.BACKGROUND, tenant)


def _served(queue: FairQueue) -> list[Ticket]:
    served = []
    while (head := queue.head()) is not None:
        served.append(head)
        queue.pop()
    return served


def test_the_first_of_a_tenant_is_not_delayed_by_another_tenants_thousand() -> None:
    queue = FairQueue()
    for _ in range(1000):
        queue.push(_ticket("acme"))
    late = _ticket("globex")
    queue.push(late)
    assert _served(queue).index(late) == 1


def test_a_returned_ticket_goes_before_all_others_and_takes_nobodys_turn() -> None:
    queue = FairQueue()
    first, second, returned = _ticket("acme"), _ticket("globex"), _ticket("globex")
    queue.push(first)
    queue.push(second)
    queue.push(returned, first=True)
    assert queue.oldest() is returned
    assert _served(queue) == [returned, first, second]


@given(
    st.lists(
        st.tuples(st.just("push"), st.sampled_from(TENANTS))
        | st.tuples(st.just("pop"), st.none())
        | st.tuples(st.just("remove"), st.integers(0, 50)),
        max_size=150,
    )
)
def test_every_tenant_waits_for_one_turn_of_each_other_and_its_own_are_first_come_first_served(
    steps: list[tuple[str, str | int | None]],
) -> None:
    queue = FairQueue()
    waiting: list[Ticket] = []  # in the order of arrival
    turns_of_others: dict[str, Counter[str]] = {}
    for step, what in steps:
        if step == "push":
            ticket = _ticket(str(what))
            queue.push(ticket)
            waiting.append(ticket)
            turns_of_others.setdefault(ticket.tenant, Counter())
        elif step == "remove" and waiting:
            assert isinstance(what, int)
            queue.remove(waiting.pop(what % len(waiting)))
        elif step == "pop" and waiting:
            head = queue.head()
            assert head is not None
            queue.pop()
            assert head is next(ticket for ticket in waiting if ticket.tenant == head.tenant)
            waiting.remove(head)
            for tenant, turns in turns_of_others.items():
                if tenant != head.tenant:
                    turns[head.tenant] += 1
                    assert turns[head.tenant] <= 1
            turns_of_others[head.tenant].clear()
        still = {ticket.tenant for ticket in waiting}
        turns_of_others = {tenant: turns for tenant, turns in turns_of_others.items() if tenant in still}
        assert len(queue) == len(waiting)
        assert queue.oldest() is (waiting[0] if waiting else None)
    assert sorted(map(id, _served(queue))) == sorted(map(id, waiting))
