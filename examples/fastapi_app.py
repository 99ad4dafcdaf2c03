"""A FastAPI app that reports each request: its time as a metric, and failures as events.

Run it with `uvicorn examples.fastapi_app:app`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from fastapi import FastAPI, Request, Response

from producers.app import EventType, TelemetryCollector, TelemetryConfig

collector = TelemetryCollector(TelemetryConfig(buffer_size=100, flush_interval=5.0))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Delivers what is buffered when the server stops."""
    yield
    collector.flush()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def report(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Reports how a request went. Tagged with the route, not the path: paths have no end."""
    began_s = perf_counter()
    status = 500
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    except Exception as error:
        path = request.url.path
        collector.collect_event("web", f"{request.method} {path} failed", EventType.ERROR, {"error": repr(error)})
        raise
    finally:
        route = request.scope.get("route")
        tags = {"route": getattr(route, "path", "unknown"), "method": request.method, "status": status}
        collector.collect_metric("http_request_duration", (perf_counter() - began_s) * 1000, "ms", tags)


@app.get("/users/{number}")
async def user(number: int) -> dict[str, int]:
    """Something to ask for."""
    return {"user": number, "tenth": 10 // number}
