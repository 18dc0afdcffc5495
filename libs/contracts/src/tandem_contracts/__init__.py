"""Placeholder opening of tandem_contracts."""

__version__ = "0.1.0"
