"""Admission: who may use an engine's sequence slots now, who waits, and for how long. Knows nothing of HTTP."""
