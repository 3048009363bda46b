"""Everything can be made."""

from dependency_injector import providers

from snapshots.adapters.cli.settings import Settings
from snapshots.composition.wiring import Container


def test_every_provider_makes_its_thing() -> None:
    """Neither mypy nor the container itself notices a misspelt argument."""
    container = Container(settings=Settings(db="sqlite://"))

    made = [provider() for provider in container.traverse(types=[providers.Singleton])]

    assert len(made) >= 8
    assert None not in made
    container.database().close()
