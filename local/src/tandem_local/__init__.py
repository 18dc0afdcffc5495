"""Sets up and runs all of Tandem on one machine: virtual environments, small model, emulator, services, tests."""

import sys

# Here, before any module with newer syntax is read, an old Python can still be told kindly.
if sys.version_info < (3, 11):  # noqa: UP036 - this is the line that says so
    found = sys.version.split()[0]
    sys.exit(f"Tandem needs Python 3.11; this is {found}. Name it: make PYTHON=/path/to/python3.11 ...")
