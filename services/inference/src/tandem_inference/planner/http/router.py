"""The planner's HTTP face as a router: the published memory API, plans for several engines, and the page."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tandem_inference.planner.gpus import find_gpu
from tandem_inference.planner.http.errors import PlannerRoute, problem
from tandem_inference.planner.http.overview import gpus, known_architectures, overview
from tandem_inference.planner.http.schemas import PlanRequest
from tandem_inference.planner.published.estimation import estimate_memory
from tandem_inference.planner.published.request import MemoryRequest
from tandem_inference.planner.releases import parse_release
from tandem_inference.planner.several.declaration import read_engines
from tandem_inference.planner.several.faces import plan_engines, wanted_engines
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.sources import load_shape
from tandem_inference.planner.units import GIB

PAGE_FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "bar.js": "text/javascript; charset=utf-8",
}
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def planner_router(*, allow_hub: bool = False, root: bool = True) -> APIRouter:
    """All of the planner's routes. Handlers are pure arithmetic and take about a millisecond.

    Args:
        allow_hub: whether names outside the catalogue may be looked up on the Hugging Face hub (then a
            request can block a worker thread for up to 5 s). Paths on this machine are never read for a caller.
        root: whether the router answers `GET /`; off where the application has its own.
    """
    router = APIRouter(route_class=PlannerRoute, tags=["planner"])
    load = partial(load_shape, files=False, hub=allow_hub)
    _add_published(router, load)
    _add_plans(router, load)
    _add_page(router)
    if root:
        _add_root(router)
    return router


def _add_published(router: APIRouter, load: partial[ModelShape]) -> None:
    @router.post("/estimate-gpu-memory", summary="Memory one model needs under vLLM")
    def estimate_gpu_memory(body: MemoryRequest) -> JSONResponse:
        return JSONResponse(estimate_memory(body, load))

    @router.get("/known-architectures", summary="Models in the catalogue")
    def known() -> JSONResponse:
        return JSONResponse(known_architectures())


def _add_plans(router: APIRouter, load: partial[ModelShape]) -> None:
    @router.post("/plan", summary="Several engines on one card")
    def plan(body: PlanRequest) -> JSONResponse:
        parse_release(body.vllm_version)
        wanted = wanted_engines(read_engines(body.engines), load, vllm_version=body.vllm_version)
        in_use = round(body.memory_in_use_gib * GIB)
        return JSONResponse(plan_engines(wanted, find_gpu(body.gpu), profile=body.profile, in_use=in_use)[1])

    @router.get("/gpus", summary="Cards as CUDA sees them")
    def cards() -> JSONResponse:
        return JSONResponse({"gpus": gpus()})


def _page_file(name: str) -> Response:
    content = (files("tandem_inference.planner") / "page" / name).read_bytes()
    return Response(content, media_type=PAGE_FILES[name], headers=PAGE_HEADERS)


def _add_page(router: APIRouter) -> None:
    @router.get("/planner", summary="The calculator as a page", include_in_schema=False)
    def page() -> Response:
        return _page_file("index.html")

    @router.get("/planner/{name}", include_in_schema=False)
    def page_file(request: Request, name: str) -> Response:
        if name not in PAGE_FILES:
            return problem(
                request, detail="no such file of the page", code="not_found", field=None, status=404
            )
        return _page_file(name)


def _add_root(router: APIRouter) -> None:
    @router.get("/", summary="What this API does, with an example request")
    def root(request: Request) -> Any:
        if "text/html" in request.headers.get("accept", ""):
            return _page_file("index.html")
        return JSONResponse(overview())
