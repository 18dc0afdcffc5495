"""The chat service: conversations, replies as streams, feedback as the user sees it."""

__version__ = "0.1.0"
