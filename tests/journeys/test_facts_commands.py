"""Renewing tables by `snapshots facts`."""

import json
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.journeys.conftest import Run
from tests.tables import mmdb

ATTACKER = "185.220.101.1"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and its URL on loopback."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def loaded(run: Run, tmp_path: Path) -> None:
    event = {"eventid": "cowrie.session.connect", "session": "a", "src_ip": ATTACKER, "src_port": 1}
    (tmp_path / "cowrie.json").write_text(json.dumps(event | {"timestamp": "2026-10-20T12:00:00Z"}) + "\n")
    run("load", tmp_path / "cowrie.json")


def test_tables_are_renewed_from_a_server_and_a_folder(run: Run, served: tuple[Path, str], tmp_path: Path) -> None:
    """Each content is a dated build; what is registered already is not imported again."""
    folder, url = served
    (folder / "exits.txt").write_text(f"{ATTACKER}\n")
    own = tmp_path / "own"
    own.mkdir()
    mmdb(own / "GeoLite2-ASN.mmdb", {"185.220.101.0/24": {"autonomous_system_number": 64500}})
    loaded(run, tmp_path)
    command = ("facts", "refresh", "--from", f"TOR={url}/exits.txt", "--from", own, "--store", tmp_path / "store")

    code, out, err = run(*command)
    _, again, _ = run(*command)

    assert (code, err) == (0, "")
    assert "exits@20" in out
    assert "geolite2-asn@20" in out
    assert "geolite2-asn@" not in again
    assert len(list((tmp_path / "store").iterdir())) == 1
    facts = {each["fact"]: each for each in json.loads(run("facts", "status", "--format", "json")[1])["facts"]}
    assert (facts["TOR"]["build"].partition("@")[0], facts["TOR"]["expired"]) == ("exits", False)
    assert "exits: TOR" in run("facts", "show", ATTACKER)[1]


def test_a_location_that_cannot_be_read_does_not_stop_the_others(
    run: Run, served: tuple[Path, str], tmp_path: Path
) -> None:
    """A refused download leaves the previous build in use; the exit code is 1."""
    folder, url = served
    (folder / "exits.txt").write_text(f"{ATTACKER}\n")
    (folder / "page.txt").write_text("<html>moved</html>\n")
    loaded(run, tmp_path)
    sources = [f"TOR={url}/{name}" for name in ("missing.txt", "page.txt", "exits.txt")] + [tmp_path / "nowhere"]
    options = [text for source in sources for text in ("--from", source)]

    code, out, err = run("facts", "refresh", *options, "--store", tmp_path / "store")

    assert code == 1
    assert "exits@20" in out
    assert err.count("Error: ") == 3
    assert f"{url}/missing.txt cannot be downloaded" in err
    assert "is a web page" in err


def test_the_places_that_were_looked_in_are_named(run: Run, tmp_path: Path) -> None:
    """Also those without a table, so that an operator sees why nothing was renewed."""
    loaded(run, tmp_path)
    (tmp_path / "empty").mkdir()

    nothing = run("facts", "refresh")[1]
    code, _, err = run("facts", "refresh", "--from", tmp_path / "empty")

    assert "/var/lib/GeoIP" in nothing
    assert "/usr/share/GeoIP" in nothing
    assert (code, f"there is no table in {tmp_path / 'empty'}" in err) == (1, True)


def test_commands_have_their_former_names_too(run: Run) -> None:
    """`inventory`, `sources` and `drift` work as before."""
    for command in ("status", "show", "import", "retract"):
        former = run("inventory", command, "--help")[1]
        assert former.replace("snapshots inventory", "snapshots facts") == run("facts", command, "--help")[1]
    assert run("facts", "drift")[1] == run("drift")[1]
    assert run("facts", "sources")[1] == run("sources")[1]


def test_refresh_writes_the_types_that_networks_state(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, if the extra is installed, with a message how to use them; loads then use them before the bundled ones."""
    packages = tmp_path / "packages"
    (packages / "whereip_network").mkdir(parents=True)
    (packages / "whereip_network" / "__init__.py").write_text(
        "class Facts:\n    asn, category = 60729, 'mobile'\n\n\n"
        "class table:\n    def facts(self, rank):\n        return [Facts][rank]\n"
    )
    (packages / "whereip_network-0.1.0.dist-info").mkdir()
    (packages / "whereip_network-0.1.0.dist-info" / "METADATA").write_text("Name: whereip-network\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(packages)
    loaded(run, tmp_path)
    path = tmp_path / "store" / "network-types-stated-2026-08-31.csv"

    first = run("facts", "refresh", "--store", tmp_path / "store")[1]
    monkeypatch.setenv("SNAPSHOTS_NETWORK_TYPES", str(path))
    second = run("facts", "refresh", "--store", tmp_path / "store")[1]

    assert f"to use it, set SNAPSHOTS_NETWORK_TYPES={path}" in first
    assert "use it with" not in second
    assert "network-types-stated@2026-08-31" in run("facts", "sources")[1].replace("…", "31")
    code, _, err = run("facts", "retract", "network-types-stated@2026-08-31")
    assert (code, "leave its file out of --network-types" in err) == (2, True)

    (packages / "whereip_network" / "__init__.py").write_text("table = list\n")
    path.unlink()
    monkeypatch.delenv("SNAPSHOTS_NETWORK_TYPES")
    monkeypatch.delitem(sys.modules, "whereip_network")
    code, _, err = run("facts", "refresh", "--store", tmp_path / "store")
    assert (code, "whereip-network 0.1.0 has an unknown structure" in err) == (1, True)
