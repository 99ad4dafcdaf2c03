"""A Flask app that reports each request: its time as a metric, and failures as events.

Run it with `flask --app examples/flask_app.py run`.
"""

from time import perf_counter

from flask import Flask, Response, g, request

from producers.app import EventType, TelemetryCollector, TelemetryConfig

app = Flask(__name__)
collector = TelemetryCollector(TelemetryConfig(buffer_size=100, flush_interval=5.0))


@app.before_request
def began() -> None:
    """Notes when a request began."""
    g.began_s = perf_counter()


@app.after_request
def ended(response: Response) -> Response:
    """Reports how a request went. Tagged with the route, not the path: paths have no end."""
    elapsed_ms = (perf_counter() - g.began_s) * 1000
    route = request.url_rule.rule if request.url_rule else "unknown"
    tags = {"route": route, "method": request.method, "status": response.status_code}
    collector.collect_metric("http_request_duration", elapsed_ms, "ms", tags)
    if response.status_code >= 500:
        collector.collect_event("web", f"{request.method} {request.path} failed", EventType.ERROR, metadata=tags)
    return response


@app.get("/users/<int:number>")
def user(number: int) -> dict[str, int]:
    """Something to ask for."""
    return {"user": number, "tenth": 10 // number}
