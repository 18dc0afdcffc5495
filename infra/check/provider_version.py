"""The version of the google provider that the committed schema was taken from."""

import json
from functools import cache
from pathlib import Path

SCHEMA_FILE = Path(__file__).parent / "schema" / "google.json"


@cache
def schema_version() -> str:
    version: str = json.loads(SCHEMA_FILE.read_text())["version"]
    return version
