"""Placeholder opening of tandem_telemetry."""
__version__ = "0.1.0"
