"""Placeholder opening of tandem_feedback."""
__version__ = "0.1.0"
