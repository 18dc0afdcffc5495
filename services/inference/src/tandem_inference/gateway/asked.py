"""What one caller asks of the engines, read and checked once; `dispatch` finds it an engine."""

from dataclasses import dataclass

from tandem_inference.gateway.caller import Caller
from tandem_inference.gateway.usage import Wish


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way. `path` is the engine's; `wish` is None where the answer is not a stream that was asked for usage."""

    path: str
    model: str
    caller: Caller
    content: bytes
    headers: dict[str, str]
    takes_slots: bool
    prompts: int = 1
    answers: int = 1
    wish: Wish | None = None
