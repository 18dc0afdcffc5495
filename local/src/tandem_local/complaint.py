"""The one error that a person at the terminal reads: what is wrong and what to do, never a traceback."""


class ComplaintError(Exception):
    """Something outside the code is not as needed; the message says what was expected, found, and to be done."""
