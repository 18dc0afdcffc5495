"""The event and problem models that Tandem's services agree on; pydantic only, so that anyone can read and write them.

Models are frozen and versioned: a released version never changes its meaning, a new meaning is a new version beside it.
"""

__version__ = "0.1.0"
