"""Local policy of a machine for shared targets: which secrets they may name, and which addresses receive them.

The topic is not trusted: whoever may write it could otherwise send any file or variable of each producer to any
address. The policy is therefore in the settings of the machine, and by default no address receives a secret.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field

from producers.fleet.network_address import host_of, is_host, parse_ip
from producers.fleet.secret_reference import read_secret_file, resolve_secret
from producers.fleet.targets import FleetTarget, RedfishTarget
from runtime.errors import Misconfigured
from runtime.settings import Settings

HOSTS: Final = "RACKSTREAM_SHARED_CREDENTIAL_HOSTS"
PREFIX: Final = "RACKSTREAM_SHARED_SECRETS_PREFIX"
DIRECTORY: Final = "RACKSTREAM_SHARED_SECRETS_DIR"
WILDCARD: Final = "*."
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _check_hosts(text: str) -> str:
    for entry in _entries(text):
        if _parse_network(entry) is None and not is_host(entry.removeprefix(WILDCARD)):
            raise ValueError(f"{entry!r} is not a host name, *.domain, IP address or network")
    return text


def _check_directory(path: Path | None) -> Path | None:
    if path is not None and path.resolve() == Path("/"):
        raise ValueError("/ would allow every file: name a directory that holds only passwords of BMCs")
    return path


class SharedTargetSettings(Settings):
    """Secrets of shared targets."""

    credential_hosts: Annotated[str, AfterValidator(_check_hosts), Field(validation_alias=HOSTS)] = ""
    """Addresses of BMCs that may receive a password which the topic `fleet.targets` names: host names, `*.domain`, IP
    addresses and networks, separated by commas. Empty: none."""
    secrets_prefix: Annotated[str, Field(validation_alias=PREFIX, pattern=r"^[A-Za-z0-9_]*$")] = "BMC_"
    """Prefix of the environment variables that shared targets may name as `env:NAME`. Empty: none."""
    secrets_dir: Annotated[
        Path | None,
        BeforeValidator(lambda value: value or None),
        AfterValidator(_check_directory),
        Field(validation_alias=DIRECTORY),
    ] = None
    """Directory of the files that shared targets may name as `file:PATH`, and as CA certificates. Unset: none."""


@dataclass(frozen=True)
class SharedTargetPolicy:
    """Policy of this machine for shared targets."""

    settings: SharedTargetSettings

    @classmethod
    def read(cls) -> Self:
        """Reads the policy from the settings.

        Raises:
            Misconfigured: They are invalid.
        """
        return cls(SharedTargetSettings.read())

    def check(self, target: FleetTarget) -> None:
        """Checks that a target may be polled as it is.

        Raises:
            Misconfigured: This machine does not allow its secret, its CA file, or sending its secret to its address.
        """
        if not isinstance(target, RedfishTarget):
            return
        if isinstance(target.verify, Path):
            self._check_file(target.verify, "CA certificates")
        if target.password is not None:
            self._check_reference(target.password)
            host = host_of(target.address)
            if not self.allows_host(host):
                raise Misconfigured(f"{host} may not receive a password from this producer: {HOSTS} does not name it")

    def allows_host(self, host: str) -> bool:
        """True if a host may receive secrets. A name is never resolved: only names match it, only networks an IP."""
        host = host.lower().removesuffix(".")
        ip = parse_ip(host)
        if ip is not None:
            networks = [
                network for entry in _entries(self.settings.credential_hosts) if (network := _parse_network(entry))
            ]
            return any(ip.version == network.version and ip in network for network in networks)
        return any(
            host.endswith(entry[1:]) if entry.startswith(WILDCARD) else host == entry
            for entry in (entry.lower() for entry in _entries(self.settings.credential_hosts))
        )

    def read_secret(self, reference: str) -> str:
        """Returns the secret behind a reference of the topic.

        Raises:
            Misconfigured: This machine does not allow the reference, or the secret is missing or invalid.
        """
        path = self._check_reference(reference)
        return resolve_secret(reference) if path is None else read_secret_file(path)

    def _check_reference(self, reference: str) -> Path | None:
        """Returns the file of an allowed reference; None if it is a variable."""
        kind, _, name = reference.partition(":")
        if kind == "file":
            return self._check_file(Path(name), "secrets")
        prefix = self.settings.secrets_prefix
        if not prefix:
            raise Misconfigured(f"{reference}: this producer allows no variables: {PREFIX} is empty")
        if not name.startswith(prefix):
            raise Misconfigured(f"{reference}: only variables that begin with {prefix} may be named ({PREFIX})")
        return None

    def _check_file(self, path: Path, content: str) -> Path:
        """Returns the file that a path leads to, which is inside the allowed directory."""
        directory = self.settings.secrets_dir
        if directory is None:
            raise Misconfigured(f"{path}: this producer allows no files of {content}: {DIRECTORY} is not set")
        try:
            resolved = path.resolve()
            is_inside = path.is_absolute() and resolved.is_relative_to(directory.resolve())
        except (OSError, ValueError, RuntimeError):
            is_inside = False
        if not is_inside:
            raise Misconfigured(f"{path}: only files in {directory} may be named ({DIRECTORY})")
        return resolved


def _entries(text: str) -> Iterator[str]:
    return (entry for part in text.split(",") if (entry := part.strip()))


def _parse_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
