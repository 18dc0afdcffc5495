"""What has to be true of a plan, by subject. A rule is a function that yields a sentence for each place that breaks it."""

from infra.check.plan import RuleBook
from infra.check.rules import (
    bootstrap,
    data,
    front,
    grants,
    group,
    machines,
    network,
    queues,
    services,
    watching,
)

BOOKS: tuple[RuleBook, ...] = (
    queues.BOOK,
    machines.BOOK,
    group.BOOK,
    network.BOOK,
    front.BOOK,
    grants.BOOK,
    services.BOOK,
    data.BOOK,
    watching.BOOK,
    bootstrap.BOOK,
)
