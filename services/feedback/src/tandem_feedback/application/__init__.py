"""The use cases of feedback and the ports they need; every write commits inside its use case, last."""
