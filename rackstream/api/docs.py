"""`/docs`: the routes as one HTML page, from the OpenAPI description; no script, nothing of another origin."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

OpenApi = dict[str, Any]
"""An OpenAPI description, or a part of one."""
STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h3{margin:1.6rem 0 .2rem;font-size:1rem}code{font-size:.95em}table{border-collapse:collapse}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}p{margin:.2rem 0}"
)


def add(api: FastAPI) -> None:
    """Adds the route."""

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page(api.openapi()))


def page(description: OpenApi) -> str:
    """Renders an OpenAPI description."""
    operations = [
        _operation(method, path, operation)
        for path, methods in sorted(description["paths"].items())
        for method, operation in methods.items()
    ]
    title = escape(description["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: REST</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{title}: REST</h1>'
        '<p>Machine-readable, with the schema of each answer: <a href="/openapi.json">/openapi.json</a>. Requests '
        "that change something need <code>Authorization: Bearer</code> with the token.</p>"
        + "".join(operations)
        + "</body></html>"
    )


def _operation(method: str, path: str, operation: OpenApi) -> str:
    text = escape(operation.get("description") or operation.get("summary", ""))
    lock = " (needs the token)" if operation.get("security") else ""
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    table = f"<table>{rows}</table>" if rows else ""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    body = f"<p>JSON body: <code>{escape(_type(schema))}</code></p>" if schema else ""
    return f"<h3><code>{method.upper()} {escape(path)}</code>{lock}</h3><p>{text}</p>{table}{body}"


def _parameter(parameter: OpenApi) -> str:
    schema = parameter.get("schema", {})
    default = f" [{schema['default']}]" if schema.get("default") not in {None, ""} else ""
    cells = (parameter["name"], parameter["in"], _type(schema) + default, parameter.get("description", ""))
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _type(schema: OpenApi) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return str(schema.get("$ref", "").rpartition("/")[2] or schema.get("type", "any"))
