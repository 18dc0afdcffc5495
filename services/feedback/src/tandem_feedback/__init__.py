"""The feedback service: turns feedback requests from Pub/Sub into stored, published results."""

__version__ = "0.1.0"
