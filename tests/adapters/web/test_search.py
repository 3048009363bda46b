"""One field finds addresses, networks, sessions and behaviors."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from snapshots.__main__ import main
from tests.adapters.web.client import site_client
from tests.journeys.conftest import NEW


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    url = f"sqlite:///{tmp_path_factory.mktemp('search')}/test.db"
    assert main(["load", "-q", str(NEW), "--db", url]) == 0
    with site_client(url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("", "/"),
        (" 8.8.8.8 ", "/address/8.8.8.8"),
        ("2001:DB8::1", "/address/2001%3Adb8%3A%3A1"),
        ("192.0.2.0/24", "/sessions?address=192.0.2.0%2F24"),
        ("AS4134", "/network/AS4134"),
        ("as04134", "/network/AS4134"),
        ("4134", "/network/AS4134"),
        ("root", "/behaviour/user/root?span=all"),
        ("chinanet & co", "/?network=chinanet+%26+co&span=all"),
        ("//example.org", "/?network=%2F%2Fexample.org&span=all"),
    ],
)
def test_a_text_leads_to_its_page(client: TestClient, text: str, target: str) -> None:
    """An unknown text is a part of the name of a network."""
    answer = client.get("/search", params={"q": text})

    assert (answer.status_code, answer.headers["location"]) == (303, target)


def test_the_beginning_of_a_hash_is_enough(client: TestClient) -> None:
    """As it is shown, with its ellipsis."""
    page = client.get("/?span=all").text
    beginning = page.split("/behaviour/hassh/")[1][:12]

    answer = client.get("/search", params={"q": f"{beginning}…"})

    assert answer.headers["location"].startswith(f"/behaviour/hassh/{beginning}")
