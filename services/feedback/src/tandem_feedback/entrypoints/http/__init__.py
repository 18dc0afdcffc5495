"""The HTTP face of the worker: health, readiness, metrics, and the state of a job."""
