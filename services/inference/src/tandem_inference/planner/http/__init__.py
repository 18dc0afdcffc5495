"""The HTTP face: `planner_router` is mounted by the inference service, or alone by `http.standalone`."""

from tandem_inference.planner.http.router import planner_router

__all__ = ["planner_router"]
