"""Secret reference, `env:NAME` or `file:PATH`: its validation, and the small text that it stands for."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runtime.errors import Misconfigured

MAX_BYTES: Final = 64 * 1024
"""Larger secrets are refused."""
MAX_REFERENCE_LENGTH: Final = 4096
ReadSecret = Callable[[str], str]
"""Returns the secret behind a reference; raises Misconfigured if that is not possible."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_reference(reference: str) -> str:
    """Returns a reference if it is well-formed.

    Raises:
        ValueError: It is not. The message does not contain it, because it may be a password.
    """
    kind, separator, name = reference.partition(":")
    if not separator or kind not in {"env", "file"}:
        raise ValueError("give secrets by reference: env:NAME or file:PATH, never in this file")
    is_valid = _VARIABLE.fullmatch(name) if kind == "env" else name.isprintable() and name
    if not is_valid or len(reference) > MAX_REFERENCE_LENGTH:
        raise ValueError(f"{kind}: must be followed by the name of a {'variable' if kind == 'env' else 'file'}")
    return reference


def resolve_secret(reference: str) -> str:
    """Returns the secret behind `env:NAME` or `file:PATH`.

    Raises:
        Misconfigured: The variable is not set, or the file cannot be read or is not a small text file.
    """
    kind, _, name = reference.partition(":")
    return _read_variable(name) if kind == "env" else read_secret_file(Path(name))


def read_secret_file(path: Path) -> str:
    """Returns the text of a secret file, without surrounding white space.

    Never blocks and never reads much: `/dev/zero` and pipes are refused.

    Raises:
        Misconfigured: The file cannot be read, is not a regular file, too large, empty or not UTF-8 text.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Misconfigured(f"the secret file {path} is not a regular file")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "invalid name"
        raise Misconfigured(f"the secret file {path} cannot be read: {reason}") from error
    return _check_content(content, f"the secret file {path}").strip()


def _read_variable(name: str) -> str:
    subject = f"the environment variable {name}"
    value = os.environ.get(name)
    if value is None:
        raise Misconfigured(f"{subject}, which should hold a secret, is not set")
    return _check_content(os.fsencode(value), subject)


def _check_content(content: bytes, subject: str) -> str:
    if len(content) > MAX_BYTES:
        raise Misconfigured(f"{subject} has more than {MAX_BYTES} bytes: it cannot be a secret")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Misconfigured(f"{subject} is not UTF-8 text") from None
    if "\0" in text:
        raise Misconfigured(f"{subject} is not UTF-8 text")
    if not text.strip():
        raise Misconfigured(f"{subject}, which should hold a secret, is empty")
    return text
