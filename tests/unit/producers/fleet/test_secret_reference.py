"""Secrets behind references: small text from a variable or a regular file, or an error that says why not."""

import os

import pytest

from producers.fleet.secret_reference import MAX_BYTES, check_reference, resolve_secret
from runtime.errors import Misconfigured


def test_a_secret_comes_from_environment_or_file(tmp_path, monkeypatch):
    monkeypatch.setenv("BMC", "one")
    (tmp_path / "secret").write_text("twö\n")

    assert ["one", "twö"] == [resolve_secret("env:BMC"), resolve_secret(f"file:{tmp_path / 'secret'}")]


@pytest.mark.parametrize("reference", ["env:NOBODY_SET_THIS", "file:/nowhere/at/all"])
def test_a_secret_that_is_not_there_is_named(reference):
    with pytest.raises(Misconfigured, match=r"NOBODY_SET_THIS, .* is not set|/nowhere/at/all cannot be read"):
        resolve_secret(reference)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\xff\xfe\x00", "not UTF-8"), (b"a\0b", "not UTF-8"), (b" \n", "empty"), (b"x" * (MAX_BYTES + 1), "more than")],
)
def test_a_file_that_is_no_small_text_is_misconfigured(tmp_path, content, says):
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(Misconfigured, match=says):
        resolve_secret(f"file:{tmp_path / 'secret'}")


def test_devices_pipes_and_directories_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(Misconfigured, match="is not a regular file"):
            resolve_secret(f"file:{path}")


@pytest.mark.parametrize("value", ["", "  ", "\udcff", "x" * (MAX_BYTES + 1)])
def test_a_variable_that_holds_no_secret_is_misconfigured(monkeypatch, value):
    monkeypatch.setenv("BMC", value)
    with pytest.raises(Misconfigured, match=r"BMC.* (empty|not UTF-8|more than)"):
        resolve_secret("env:BMC")


@pytest.mark.parametrize("reference", ["hunter2", "env:", "file:", "env:A B", "env:A=hunter2", "file:a\0b", "ENV:A"])
def test_a_reference_that_is_none_is_refused_without_being_shown(reference):
    with pytest.raises(ValueError) as refused:
        check_reference(reference)

    assert "hunter2" not in str(refused.value)
