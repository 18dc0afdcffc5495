"""Placeholder opening of tandem_messaging."""

__version__ = "0.1.0"
