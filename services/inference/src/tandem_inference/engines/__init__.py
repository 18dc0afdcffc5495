"""Engines: declared in a file, started as processes of their own, watched and restarted. Knows nothing of HTTP callers."""
