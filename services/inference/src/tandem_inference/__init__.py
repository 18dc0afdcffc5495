"""Placeholder opening of tandem_inference."""

__version__ = "0.1.0"
