"""`/docs`: the routes as one page for people, from the OpenAPI description; no script, nothing of another origin."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h3{margin:1.6rem 0 .2rem;font-size:1rem}code{font-size:.95em}table{border-collapse:collapse}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}p{margin:.2rem 0}"
)


def add(api: FastAPI) -> None:
    """Serves the page."""

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page(api.openapi()))


def page(description: dict[str, Any]) -> str:
    """The page of an OpenAPI description."""
    info = description["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in sorted(description["paths"].items())
        for method, operation in methods.items()
    ]
    title = escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: REST</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{title}: REST</h1>'
        '<p>The same for programs, with the shape of each answer: <a href="/openapi.json">/openapi.json</a>. What '
        "changes something needs <code>Authorization: Bearer</code> with the token.</p>"
        + "".join(operations)
        + "</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    text = escape(operation.get("description") or operation.get("summary", ""))
    lock = " (needs the token)" if operation.get("security") else ""
    rows = "".join(_parameter(each) for each in operation.get("parameters", ()))
    table = f"<table>{rows}</table>" if rows else ""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    taken = f"<p>Takes JSON: <code>{escape(_type(body))}</code></p>" if body else ""
    return f"<h3><code>{method.upper()} {escape(path)}</code>{lock}</h3><p>{text}</p>{table}{taken}"


def _parameter(each: dict[str, Any]) -> str:
    schema = each.get("schema", {})
    usual = f" [{schema['default']}]" if schema.get("default") not in {None, ""} else ""
    cells = (each["name"], each["in"], _type(schema) + usual, each.get("description", ""))
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    return str(schema.get("$ref", "").rpartition("/")[2] or schema.get("type", "any"))
