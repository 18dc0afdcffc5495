"""Placeholder opening of tandem_chat."""
__version__ = "0.1.0"
