"""Moves events between services without losing or repeating their effect: Pub/Sub, outbox, relay, consumer, inbox.

Correctness lives in SQL; Pub/Sub is a wake-up with retries. What an event means is left to the services.
"""

__version__ = "0.1.0"
