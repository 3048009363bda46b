"""Every provider of the container builds its object."""

from collections.abc import Iterator

import pytest
from dependency_injector import providers

from snapshots.adapters.cli.settings import Settings
from snapshots.composition.wiring import Container

SINGLETONS = [name for name, each in Container.providers.items() if isinstance(each, providers.Singleton)]


@pytest.fixture
def container() -> Iterator[Container]:
    made = Container(settings=Settings(db="sqlite://"))
    yield made
    made.database().close()


@pytest.mark.parametrize("name", SINGLETONS)
def test_a_provider_builds_one_object_from_the_settings_alone(container: Container, name: str) -> None:
    """Every later call returns the same object."""
    provider = getattr(container, name)

    made = provider()

    assert made is not None
    assert provider() is made


def test_a_test_can_replace_the_clock_of_the_machine(container: Container) -> None:
    """Whatever depends on it, at any depth, is built with the replacement."""

    class Stopped:
        def now(self) -> str:
            return "noon"

    container.own_clock.override(providers.Object(Stopped()))

    assert container.runtime().now() == "noon"
