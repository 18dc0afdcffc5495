"""The use cases of chat and the ports they need; every write commits inside its use case, last."""
