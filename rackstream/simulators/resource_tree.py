"""A shape's documents as bytes: encoded once where they do not move; pages, `$expand`, ETags. No I/O, no clock.

One tree serves all BMCs of its shape: what tells them apart is their number and the moment.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl
from zlib import crc32

from rackstream.simulators.model import NUMBER, Document, Shape, link, service
from rackstream.simulators.models import SHAPES
from rackstream.simulators.readings import Moment

MARK: Final = NUMBER.encode()
EXPAND: Final = re.compile(r"(?P<way>[.*~])(\(\$levels=(?P<levels>\d+)\))?")
KEPT: Final = 256
"""Expanded answers kept for a shape; clients ask for a few in the same words again and again."""


class BadQuery(Exception):
    """A query that this BMC does not take."""


class Tree:
    """The documents of one shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.documents = {**service(shape), **shape.documents}
        """URI → document, or what makes it of a moment."""
        self._still = {uri: self._encode(part) for uri, part in self.documents.items() if isinstance(part, dict)}
        self._kept: dict[tuple[str, str], bytes] = {}

    def body(self, uri: str, query: str, moment: Moment) -> bytes | None:
        """What is at a URI without a slash at its end; None: nothing is.

        Raises:
            BadQuery: it cannot be expanded or skipped so.
        """
        if uri not in self.documents:
            return None
        found = self._still.get(uri) if not query and not self._paged(uri) else None
        if found is None:
            found = self._kept.get((uri, query))
        if found is None:
            found = self._made(uri, query, moment)
        return found.replace(MARK, b"%06d" % moment.number)

    def etag(self, body: bytes) -> str | None:
        """The ETag of a body, of a BMC that gives any."""
        return f'W/"{crc32(body):08X}"' if self.shape.etags else None

    def _made(self, uri: str, query: str, moment: Moment) -> bytes:
        told = dict(parse_qsl(query))
        made = _Making(self, moment)
        document = made.at(uri)
        if self.shape.page and "Members" in document:
            document = _page(document, _number(told.get("$skip", "0")), self.shape.page, told.get("$expand"))
        if self.shape.expand and "$expand" in told:
            way, levels = self._asked(told["$expand"])
            document = made.expanded(document, way, levels)
        body = self._encode(document)
        if not made.moved and len(self._kept) < KEPT:
            self._kept[uri, query] = body
        return body

    def _asked(self, text: str) -> tuple[str, int]:
        match = EXPAND.fullmatch(text)
        levels = int((match and match["levels"]) or 1)
        if match is None or match["way"] not in self.shape.expand_ways or not 1 <= levels <= (self.shape.expand or 0):
            raise BadQuery(text)
        return match["way"], levels

    def _paged(self, uri: str) -> bool:
        part = self.documents[uri]
        return self.shape.page is not None and isinstance(part, dict) and len(part.get("Members", ())) > self.shape.page

    def _encode(self, document: Document) -> bytes:
        return json.dumps(_slashed(document) if self.shape.slashes else document, separators=(",", ":")).encode()


class _Making:
    """One answer in the making."""

    def __init__(self, tree: Tree, moment: Moment) -> None:
        self.moved = False
        """Whether anything in it depends on the moment."""
        self._tree = tree
        self._moment = moment

    def at(self, uri: str) -> Document:
        part = self._tree.documents[uri]
        if isinstance(part, dict):
            return part
        self.moved = True
        return part(self._moment)

    def expanded(self, document: Document, way: str, levels: int) -> Document:
        """The document with what it links in place of the links: `.` not of its Links, `~` of those only, `*` all."""
        return {
            name: self._inside(value, way, levels) if way == "*" or (name == "Links") == (way == "~") else value
            for name, value in document.items()
        }

    def _inside(self, value: Any, way: str, levels: int) -> Any:
        if isinstance(value, list):
            return [self._inside(each, way, levels) for each in value]
        if not isinstance(value, dict):
            return value
        uri = value.get("@odata.id")
        if len(value) == 1 and uri in self._tree.documents:
            inner = self.at(uri)
            return self.expanded(inner, way, levels - 1) if levels > 1 else inner
        return {name: self._inside(each, way, levels) for name, each in value.items()}


def _page(document: Document, skip: int, size: int, expand: str | None) -> Document:
    """A collection's members from the one after `skip` others on."""
    members = document["Members"]
    more = f"&$expand={expand}" if expand else ""
    after = skip + size
    following = (
        {"Members@odata.nextLink": f"{document['@odata.id']}?$skip={after}{more}"} if after < len(members) else {}
    )
    return {**document, "Members": members[skip:after], **following}


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadQuery(text)
    return int(text)


def _slashed(value: Any) -> Any:
    """The document with a slash at the end of its links."""
    if isinstance(value, list):
        return [_slashed(each) for each in value]
    if not isinstance(value, dict):
        return value
    uri = value.get("@odata.id")
    if len(value) == 1 and isinstance(uri, str) and "#" not in uri:
        return link(f"{uri}/")
    return {name: _slashed(each) for name, each in value.items()}


@cache
def tree_of(name: str) -> Tree:
    """The tree of a shape, one for all of its BMCs."""
    return Tree(SHAPES[name])
