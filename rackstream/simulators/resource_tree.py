"""Encodes a model's documents: constant ones only once; pages, `$expand`, ETags. No I/O, no clock.

One tree serves all BMCs of a model, which differ in their number and readings.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl
from zlib import crc32

from rackstream.simulators.model import NUMBER_PLACEHOLDER, BmcModel, Document, link, service_documents
from rackstream.simulators.models import MODELS
from rackstream.simulators.readings import SimulatedReadings

PLACEHOLDER_BYTES: Final = NUMBER_PLACEHOLDER.encode()
EXPAND_SYNTAX: Final = re.compile(r"(?P<form>[.*~])(\(\$levels=(?P<levels>\d+)\))?")
MAX_CACHED_BODIES: Final = 256
"""Responses to queries that are cached for a model; clients repeat a few queries again and again."""


class BadQuery(Exception):
    """The BMC does not support the query."""


class ResourceTree:
    """Documents of one model."""

    def __init__(self, model: BmcModel) -> None:
        self.model = model
        self.documents = {**service_documents(model), **model.documents}
        """URI → document, or function that returns it for the current readings."""
        self._constant_bodies = {
            uri: self._encode(source) for uri, source in self.documents.items() if isinstance(source, dict)
        }
        self._cached_bodies: dict[tuple[str, str], bytes] = {}
        """(URI, query) → body that does not depend on readings."""

    def body(self, uri: str, query: str, readings: SimulatedReadings) -> bytes | None:
        """Returns the body at a URI without a trailing slash; None if there is no resource.

        Raises:
            BadQuery: The BMC does not support the query.
        """
        if uri not in self.documents:
            return None
        body = self._constant_bodies.get(uri) if not query and not self._has_pages(uri) else None
        if body is None:
            body = self._cached_bodies.get((uri, query))
        if body is None:
            body = self._build_body(uri, query, readings)
        return body.replace(PLACEHOLDER_BYTES, b"%06d" % readings.number)

    def etag(self, body: bytes) -> str | None:
        """Returns the ETag of a body; None if the model has no ETags."""
        return f'W/"{crc32(body):08X}"' if self.model.etags else None

    def _build_body(self, uri: str, query: str, readings: SimulatedReadings) -> bytes:
        options = dict(parse_qsl(query))
        builder = _ResponseBuilder(self, readings)
        document = builder.document(uri)
        if self.model.page_size and "Members" in document:
            skip = _parse_number(options.get("$skip", "0"))
            document = _page(document, skip, self.model.page_size, options.get("$expand"))
        if self.model.expand_levels and "$expand" in options:
            form, levels = self._parse_expand(options["$expand"])
            document = builder.expand(document, form, levels)
        body = self._encode(document)
        if not builder.has_readings and len(self._cached_bodies) < MAX_CACHED_BODIES:
            self._cached_bodies[uri, query] = body
        return body

    def _parse_expand(self, text: str) -> tuple[str, int]:
        model = self.model
        match = EXPAND_SYNTAX.fullmatch(text)
        levels = int((match and match["levels"]) or 1)
        if match is None or match["form"] not in model.expand_forms or not 1 <= levels <= (model.expand_levels or 0):
            raise BadQuery(text)
        return match["form"], levels

    def _has_pages(self, uri: str) -> bool:
        source, page_size = self.documents[uri], self.model.page_size
        return page_size is not None and isinstance(source, dict) and len(source.get("Members", ())) > page_size

    def _encode(self, document: Document) -> bytes:
        encoded = _with_trailing_slashes(document) if self.model.trailing_slashes else document
        return json.dumps(encoded, separators=(",", ":")).encode()


class _ResponseBuilder:
    """Builds one response."""

    def __init__(self, tree: ResourceTree, readings: SimulatedReadings) -> None:
        self.has_readings = False
        """True if the response depends on the readings."""
        self._tree = tree
        self._readings = readings

    def document(self, uri: str) -> Document:
        source = self._tree.documents[uri]
        if isinstance(source, dict):
            return source
        self.has_readings = True
        return source(self._readings)

    def expand(self, document: Document, form: str, levels: int) -> Document:
        """Returns the document with linked resources in place of links: `.` except Links, `~` Links only, `*` all."""
        return {
            name: self._expand_value(value, form, levels)
            if form == "*" or (name == "Links") == (form == "~")
            else value
            for name, value in document.items()
        }

    def _expand_value(self, value: Any, form: str, levels: int) -> Any:
        if isinstance(value, list):
            return [self._expand_value(item, form, levels) for item in value]
        if not isinstance(value, dict):
            return value
        uri = value.get("@odata.id")
        if len(value) == 1 and uri in self._tree.documents:
            linked = self.document(uri)
            return self.expand(linked, form, levels - 1) if levels > 1 else linked
        return {name: self._expand_value(inner, form, levels) for name, inner in value.items()}


def _page(document: Document, skip: int, size: int, expand: str | None) -> Document:
    """Returns one page of a collection, which starts after `skip` members."""
    members = document["Members"]
    expand_query = f"&$expand={expand}" if expand else ""
    next_skip = skip + size
    page = {**document, "Members": members[skip:next_skip]}
    if next_skip < len(members):
        page["Members@odata.nextLink"] = f"{document['@odata.id']}?$skip={next_skip}{expand_query}"
    return page


def _parse_number(text: str) -> int:
    if not text.isdecimal():
        raise BadQuery(text)
    return int(text)


def _with_trailing_slashes(value: Any) -> Any:
    """Returns the document with a slash at the end of all links."""
    if isinstance(value, list):
        return [_with_trailing_slashes(item) for item in value]
    if not isinstance(value, dict):
        return value
    uri = value.get("@odata.id")
    if len(value) == 1 and isinstance(uri, str) and "#" not in uri:
        return link(f"{uri}/")
    return {name: _with_trailing_slashes(inner) for name, inner in value.items()}


@cache
def resource_tree(name: str) -> ResourceTree:
    """Returns the tree of a model, shared by all of its BMCs."""
    return ResourceTree(MODELS[name])
