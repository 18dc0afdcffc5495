"""Who may use an engine's slots: the rules of reserve and floor, under everything that can come and go."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tandem_inference.gateway.admission.slots import Slots
from tandem_inference.gateway.admission.ticket import Phase, Ticket
from tandem_inference.gateway.request_class import RequestClass

CHAT, FEEDBACK = RequestClass.INTERACTIVE, RequestClass.BACKGROUND


def _enter(slots: Slots, request_class: RequestClass, count: int = 1, sequences: int = 1) -> list[Ticket]:
    tickets = [Ticket(request_class, sequences=sequences) for _ in range(count)]
    for ticket in tickets:
        slots.enter(ticket)
    return tickets


def _running(tickets: list[Ticket]) -> int:
    return sum(ticket.phase is Phase.RUNNING for ticket in tickets)


def test_background_gets_all_but_the_reserve_while_nobody_chats() -> None:
    slots = Slots(16, reserve=2, floor=1)
    assert _running(_enter(slots, FEEDBACK, 40)) == 14
    assert _running(_enter(slots, CHAT, 2)) == 2


def test_background_shrinks_to_its_floor_as_chat_takes_slots_and_grows_back() -> None:
    slots = Slots(16, reserve=2, floor=1)
    jobs, chats = _enter(slots, FEEDBACK, 200), _enter(slots, CHAT, 40)
    for job in [job for job in jobs if job.phase is Phase.RUNNING][:13]:
        slots.leave(job)
    assert (slots.running[FEEDBACK], slots.running[CHAT]) == (1, 15)
    for chat in chats:
        slots.leave(chat)
    assert (slots.running[FEEDBACK], slots.running[CHAT]) == (14, 0)


def test_background_keeps_moving_under_chat_that_never_ends() -> None:
    slots = Slots(4, reserve=2, floor=1)
    chats = _enter(slots, CHAT, 50)
    jobs = _enter(slots, FEEDBACK, 10)
    for _ in range(5):  # answers end, and as many new questions come
        for ticket in [ticket for ticket in chats + jobs if ticket.phase is Phase.RUNNING]:
            slots.leave(ticket)
        chats += _enter(slots, CHAT, 4)
        assert slots.running == {CHAT: 3, FEEDBACK: 1}
    assert sum(job.phase is Phase.OUT for job in jobs) == 4


def test_one_slot_serves_chat_first_and_background_when_nobody_chats() -> None:
    slots = Slots(1, reserve=2, floor=1)
    (job,) = _enter(slots, FEEDBACK)
    later = _enter(slots, FEEDBACK)
    (chat,) = _enter(slots, CHAT)
    assert job.phase is Phase.RUNNING
    slots.leave(job)
    assert (chat.phase, _running(later)) == (Phase.RUNNING, 0)
    slots.leave(chat)
    assert _running(later) == 1


def test_slots_are_gathered_for_a_request_of_several_sequences() -> None:
    slots = Slots(8, reserve=2, floor=1)
    narrow = _enter(slots, CHAT, 7)
    (wide,) = _enter(slots, CHAT, sequences=4)
    after = _enter(slots, CHAT, 3)
    for ticket in narrow[:2]:
        slots.leave(ticket)
    assert (wide.phase, _running(after)) == (Phase.WAITING, 0)
    slots.leave(narrow[2])
    assert (wide.phase, _running(after)) == (Phase.RUNNING, 0)


@pytest.mark.parametrize(("request_class", "widest"), [(CHAT, 7), (FEEDBACK, 6)])
def test_a_request_of_more_sequences_than_its_class_may_have_takes_what_it_may(
    request_class: RequestClass, widest: int
) -> None:
    slots = Slots(8, reserve=2, floor=1)
    (ticket,) = _enter(slots, request_class, sequences=10**9)
    assert (ticket.phase, ticket.slots) == (Phase.RUNNING, widest)


def test_wide_requests_of_both_classes_take_turns() -> None:
    slots = Slots(4, reserve=2, floor=1)
    jobs = _enter(slots, FEEDBACK, 3, sequences=2)
    chats = _enter(slots, CHAT, 3, sequences=3)
    order = []
    while running := [ticket for ticket in jobs + chats if ticket.phase is Phase.RUNNING]:
        order += [ticket.request_class for ticket in running]
        for ticket in running:
            slots.leave(ticket)
    assert order[:4] == [FEEDBACK, CHAT, FEEDBACK, CHAT]


class SlotsMachine(RuleBasedStateMachine):
    """Requests of both classes arrive, are answered, or give up while they wait, in any order."""

    @initialize(total=st.integers(1, 12), reserve=st.integers(0, 6), floor=st.integers(1, 6))
    def begin(self, total: int, reserve: int, floor: int) -> None:
        self.slots = Slots(total, reserve=reserve, floor=floor)
        self.tickets: list[Ticket] = []

    @rule(
        request_class=st.sampled_from(RequestClass),
        tenant=st.sampled_from(["", "a", "b"]),
        sequences=st.integers(1, 5),
        first=st.booleans(),
    )
    def arrive(self, request_class: RequestClass, tenant: str, sequences: int, first: bool) -> None:
        ticket = Ticket(request_class, tenant, sequences)
        self._change(lambda: self.slots.enter(ticket, first=first), arriving=ticket)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        self.tickets.remove(ticket)
        was_waiting = [other for other in self.tickets if other.phase is Phase.WAITING]
        admitted: list[Ticket] = []
        self._change(lambda: admitted.extend(self.slots.leave(ticket)))
        assert admitted == [t for t in admitted if t.phase is Phase.RUNNING]
        assert set(admitted) == {other for other in was_waiting if other.phase is Phase.RUNNING}
        assert self.slots.leave(ticket) == []  # leaving twice changes nothing

    def _change(self, change: Any, arriving: Ticket | None = None) -> None:
        before = {ticket for ticket in self.tickets if ticket.phase is Phase.RUNNING}
        change()
        if arriving is not None:
            self.tickets.append(arriving)
        begun = [t for t in self.tickets if t.phase is Phase.RUNNING and t not in before]
        jobs = [ticket for ticket in begun if ticket.request_class is FEEDBACK]
        if jobs:  # background never begins above its limit, but for one that is wider than it and runs alone
            alone = self.slots.running[FEEDBACK] == jobs[0].slots
            assert self.slots.running[FEEDBACK] <= self.slots.background_limit or alone

    @invariant()
    def never_more_run_than_there_are_slots(self) -> None:
        if not hasattr(self, "slots"):
            return
        running = [ticket for ticket in self.tickets if ticket.phase is Phase.RUNNING]
        assert sum(ticket.slots for ticket in running) == self.slots.total - self.slots.free
        assert self.slots.free >= 0
        waiting = [ticket for ticket in self.tickets if ticket.phase is Phase.WAITING]
        assert sum(len(queue) for queue in self.slots.queues.values()) == len(waiting)

    @invariant()
    def no_slot_lies_idle_that_somebody_may_have(self) -> None:
        if not hasattr(self, "slots"):
            return
        slots = self.slots
        job, chat = slots.queues[FEEDBACK].head(), slots.queues[CHAT].head()
        if job and slots.running[FEEDBACK] + job.slots <= slots.floor:
            assert slots.free < job.slots  # the floor is kept
        if chat and slots.free >= chat.slots:
            assert job is not None  # gathering for background that has had nothing
            assert slots.running[FEEDBACK] == 0 or job.slots <= slots.floor
        if job and not chat and slots.free >= job.slots:
            assert slots.running[FEEDBACK] + job.slots > slots.background_limit

    def teardown(self) -> None:
        if not hasattr(self, "slots"):
            return
        for ticket in self.tickets:
            self.slots.leave(ticket)
        assert self.slots.free == self.slots.total
        assert not any(self.slots.queues.values())


SlotsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSlotsUnderAnything = SlotsMachine.TestCase
