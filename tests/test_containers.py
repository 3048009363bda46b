"""The image and the Compose file: what can be checked without Docker."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from snapshots.adapters.cli.main import cli

COMPOSE = yaml.safe_load(Path("compose.yaml").read_text())
OURS = [name for name in COMPOSE["services"] if name != "postgresql"]


def parsed(arguments: list[str]) -> Mapping[str, Any]:
    """Return the options of a command line, as the program reads them."""
    command: click.Command = cli
    context = click.Context(cli, info_name="snapshots")
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.commands[name]
        if not isinstance(command, click.Group):
            return command.make_context(name, arguments, context).params
    raise AssertionError(arguments)


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def test_the_image_runs_without_root_and_without_a_shell() -> None:
    """With fixed numbers, so that volumes keep their owner, and from an official image of a stated version."""
    found = instructions(Path("Dockerfile").read_text())
    stages = [index for index, (name, _) in enumerate(found) if name == "FROM"]
    program = found[stages[1] : stages[2]]
    users = [rest for name, rest in found if name == "USER"]
    commands = {name: rest for name, rest in program if name in {"ENTRYPOINT", "CMD", "HEALTHCHECK"}}

    assert re.fullmatch(r"BASE=python:3\.\d+-slim-[a-z]+", dict(found)["ARG"])
    bases = [rest.partition(" ")[0] for name, rest in found if name == "FROM"]
    assert bases == ["${BASE}", "${BASE}", "program", "program"]
    assert users == ["10001:10001", "0", "10001:10001"]
    assert all(rest.startswith("[") or " CMD [" in rest for rest in commands.values())
    assert not any(name == "ADD" or "curl" in rest for name, rest in found)
    labels = " ".join(rest for name, rest in found if name == "LABEL")
    assert "http" not in labels
    assert re.findall(r"(org\.opencontainers\.image\.\w+)=", labels)


def test_the_commands_of_the_image_exist() -> None:
    """Its default, and its check."""
    found = dict(instructions(Path("Dockerfile").read_text()))
    check = yaml.safe_load(found["HEALTHCHECK"].partition(" CMD ")[2])

    assert parsed(yaml.safe_load(found["CMD"]))["paths"] == ("/logs",)
    assert parsed(check[1:])["require_running"]
    assert check[0] == yaml.safe_load(found["ENTRYPOINT"])[0]


def test_the_image_is_built_from_files_that_exist_and_that_are_sent() -> None:
    """And from the extras of the project; .dockerignore lets nothing else in, such as databases and secrets."""
    text = Path("Dockerfile").read_text()
    copied = [rest.split()[:-1] for name, rest in instructions(text) if name == "COPY" and "--from" not in rest]
    ignored = [line for line in Path(".dockerignore").read_text().splitlines() if not line.startswith("#")]
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert ignored[0] == "*"
    assert {name for names in copied for name in names} == {line[1:] for line in ignored if line.startswith("!")}
    assert all(Path(name).exists() for names in copied for name in names)
    (wanted,) = re.findall(r"cowrie-snapshots\[([\w,]+)\]", text)
    assert set(wanted.split(",")) <= extras.keys()


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_confined(name: str) -> None:
    """No capabilities, no writable root file system, no way to more rights, and a check of its health."""
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()
    assert len(service["profiles"]) == 1
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", OURS)
def test_every_command_in_the_compose_file_exists(name: str) -> None:
    """With its options, and with mounts and secrets for the paths in it."""
    service = COMPOSE["services"][name]
    mounts = [volume.removesuffix(":ro").rpartition(":")[2] for volume in service.get("volumes", ())]
    mounts += [f"/run/secrets/{secret}" for secret in service.get("secrets", ())]
    paths = [Path(word) for word in service["command"] if word.startswith("/")]
    here = ["/" if word.endswith("/tty") else word for word in service["command"]]  # it must exist
    options = parsed(here)

    assert all(any(path.is_relative_to(mount) for mount in mounts) for path in paths)
    if name.endswith("-serve"):
        assert options["token_file"] == Path("/run/secrets/token")
        assert str(options["listen"]) == "0.0.0.0:8417"
        assert "/healthz" in service["healthcheck"]["test"][-1]
    else:
        assert options["follow"]
        assert parsed(service["healthcheck"]["test"][2:])["require_running"]


def test_logs_are_mounted_read_only_and_secrets_are_files() -> None:
    """No password is in the Compose file."""
    text = Path("compose.yaml").read_text()

    services = COMPOSE["services"].values()

    for name in OURS:
        for volume in COMPOSE["services"][name].get("volumes", ()):
            assert volume.startswith("data:") or volume.endswith(":ro"), volume
    assert {secret for each in services for secret in each.get("secrets", ())} == COMPOSE["secrets"].keys()
    assert all(secret["file"].startswith("secrets/") for secret in COMPOSE["secrets"].values())
    assert not re.search(r"password[ \t]*[:=][ \t]*\w", text, re.IGNORECASE)
    assert "secrets/" in Path(".gitignore").read_text().split()
