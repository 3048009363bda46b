"""What the documents promise."""

import gzip
import re
import shlex
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import click
import pytest
from sqlalchemy import create_engine
from tools.build_docs import (
    CLI_REFERENCE,
    EXPORT_GUIDE,
    LOG,
    TABLE_REFERENCE,
    Folder,
    cli_reference,
    documents,
    examples,
    table_reference,
    with_format_table,
)

import snapshots
from snapshots.adapters.cli.config_file import META_KEY, ConfigFile
from snapshots.adapters.cli.main import cli
from snapshots.app.pip_install import DISTRIBUTION
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE, TYPE_MAX_LAG
from tests.conftest import database_on
from tests.cowrieprocessor import AdoptableSchema, put_session

README = Path("README.md").read_text()
GLOSSARY = Path("docs/reference/glossary.md").read_text()
ARCHITECTURE = Path("docs/explanation/architecture.md").read_text()
ANOTHER_LOADER = Path("docs/how-to/another-loader.md").read_text()
SOURCE = "\n".join(path.read_text() for path in Path("src").rglob("*.py"))
DOCUMENTS = [*documents(), *map(Path, ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"))]
BANNED = (
    "told|tells?|said|says|heard|hears?|nobody|somebody|whoever|foresee[ns]?|foresight|rehears\\w*|beside|shelf|patien\\w+"
    "|far end|near end|stands in|what stands|likewise|thousand million"
)


def reference(name: str) -> str:
    return Path(f"docs/reference/{name}.md").read_text()


def shell_lines(text: str) -> Iterator[str]:
    """Yield each command line of the program in the blocks, help texts and running text of a document."""
    for block in re.findall(r"```(?:sh|ini|console|crontab)\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"(?:^|[ /=])snapshots ([a-z-]+(?: .*)?)$", block, re.MULTILINE)
    for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"^  snapshots (.*)$", block, re.MULTILINE)
    running = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.findall(r"`(?:\.venv/bin/)?snapshots ([^`]+)`", running)


def test_an_example_with_another_output_is_detected() -> None:
    """Three dots match any text, and everything else only itself."""
    (example,) = examples("$ snapshots load x\nRead ... lines.\n...\nDone.\n")

    assert example.matches("Read 3 lines.\nDone.\n")
    assert example.matches("Read 3 lines.\nand more\nDone.\n")
    assert not example.matches("Read 3 lines.\n")
    assert not example.matches("Read 3 rows.\nDone.\n")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_command_in_a_document_exists_with_its_options(document: Path) -> None:
    """Also those that no test can run, such as on a cluster."""
    for line in shell_lines(document.read_text()):
        words = shlex.split(line.partition(" | ")[0], comments=True)
        command: click.Command = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.commands or words[0].isupper(), line
            command = command.commands.get(words.pop(0), click.Command("any"))
        visible = [each for each in command.params if not getattr(each, "hidden", False)]
        known = {name for each in visible for name in (*each.opts, *each.secondary_opts)}
        assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known | {"--help"}, line


def test_the_guide_to_adoption_works_from_the_dry_run_to_the_undo(tmp_path: Path) -> None:
    """On a database with a sealed session, an open one, and one with a code in place of a fact."""
    guide = Path("docs/how-to/adopt-cowrieprocessor.md").read_text()
    url = f"sqlite:///{tmp_path}/theirs.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        AdoptableSchema(dialect="sqlite").make(connection)
        at = {"enrichment_at": "2026-03-01 11:00:00.000000"}
        put_session(connection, "open", source_ip="1.1.1.1")
        put_session(connection, "sealed", source_ip="8.8.8.8", snapshot_asn=15169, snapshot_country="US", **at)
        put_session(connection, "sentinel", source_ip="8.8.8.8", snapshot_asn=15169, snapshot_country="XX", **at)
    engine.dispose()
    folder = Folder(tmp_path)

    lines = [line for line in re.findall(r"^(snapshots [^#\n]*)", guide, re.MULTILINE) if "--db URL" in line]
    outputs = {line.strip(): folder.run(line.replace("--db URL", f"--db {url}")) for line in lines}

    assert len(outputs) == 7
    assert [line for line, output in outputs.items() if "Usage" in output or "Error" in output] == []
    assert "1 session" in outputs['snapshots correct --db URL --sentinels --reason "XX is not a country" --dry-run']
    assert "1 would receive a snapshot" in outputs["snapshots backfill --db URL --dry-run"]


@pytest.mark.slow
def test_the_commands_for_postgresql_work(server: str, tmp_path: Path) -> None:
    """Each on a new database."""
    guide = Path("docs/how-to/use-postgresql.md").read_text()
    folder = Folder(tmp_path)
    folder.run("snapshots load -q cowrie-logs --db snapshots.db")
    lines = [line for line in re.findall(r"^(snapshots .*)$", guide, re.MULTILINE) if "postgresql://" in line]

    outputs = []
    for line in lines:
        with database_on(server, "template0") as url:
            local = line.replace("postgresql://USER@HOST/NAME", url).replace("/var/log/cowrie", "cowrie-logs")
            outputs.append(folder.run(local))
    loaded, copied, partitioned = outputs
    assert "83 new sessions" in loaded
    assert "session_summaries: 83 rows" in copied
    assert "64 partitions" in partitioned


def test_the_command_line_reference_matches_the_program() -> None:
    """To renew it, run tools/build_docs.py."""
    assert CLI_REFERENCE.read_text() == cli_reference()


def test_the_reference_of_layouts_is_that_of_the_program() -> None:
    """To renew it, run tools/build_docs.py."""
    assert TABLE_REFERENCE.read_text() == table_reference()


def test_the_guide_to_exports_has_every_format() -> None:
    """To renew its table, run tools/build_docs.py."""
    guide = EXPORT_GUIDE.read_text()

    assert "| `csv` | " in guide
    assert guide == with_format_table(guide)


def test_the_example_for_other_loaders_runs_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readers copy it."""
    program, _ = re.findall(r"```python\n(.*?)```", ANOTHER_LOADER, re.DOTALL)
    monkeypatch.chdir(tmp_path)

    exec(compile(program, "another-loader.md", "exec"), {})

    assert "0a1b2c3d4e5f IpSnapshot(asn=15169, country='US'" in capsys.readouterr().out


def test_the_program_with_its_own_transaction_runs_and_retains_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, and what the first run wrote is still there after the second."""
    _, program = re.findall(r"```python\n(.*?)```", ANOTHER_LOADER, re.DOTALL)
    later = program.replace('"8.8.8.8"', '"1.1.1.1"')
    monkeypatch.chdir(tmp_path)

    for text in (program, later):
        names: dict[str, object] = {}
        exec(compile(text, "another-loader.md", "exec"), names)
        names["engine"].dispose()  # type: ignore[attr-defined]  # a SQLAlchemy engine

    with sqlite3.connect(tmp_path / "sessions.db") as connection:
        rows = connection.execute("SELECT id, ip, asn, country, gap FROM my_sessions ORDER BY id").fetchall()
    connection.close()
    assert rows == [("0a1b2c3d4e5f", "8.8.8.8", 15169, "US", None), ("1b2c3d4e5f60", None, None, None, "no_source_ip")]


def test_an_address_is_erased_as_the_guide_describes(tmp_path: Path) -> None:
    """After that the guard is whole again."""
    guide = Path("docs/how-to/retain-and-back-up.md").read_text()
    (statements,) = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    folder = Folder(tmp_path)
    folder.run("snapshots load -q cowrie-logs")
    folder.run("snapshots prune --before 2026-12-01")

    with sqlite3.connect(tmp_path / "snapshots.db") as connection:
        connection.executescript(statements)
    connection.close()

    assert "is missing" in folder.run("snapshots verify")
    folder.run("snapshots migrate")
    assert "the guard holds" in folder.run("snapshots verify")
    assert "Error" in folder.run("snapshots inventory show 185.220.101.1")


def test_the_maximum_ages_in_the_reference_are_those_of_the_rules() -> None:
    """In days, before and after the attack."""
    lines = re.findall(r"^\| ([A-Z, ]+) \| (\d+) days \| (.*) \|$", reference("facts"), re.MULTILINE)
    rows = {name: (before, after) for names, before, after in lines for name in names.split(", ")}

    assert rows == {
        kind.value: (
            str(TYPE_MAX_AGE[kind].days),
            f"{TYPE_MAX_LAG[kind].days} days" if kind in TYPE_MAX_LAG else "no limit",
        )
        for kind in IpType
    }
    assert f"| ASN, country | {NETWORK_MAX_AGE.days} days" in reference("facts")


def test_the_readme_is_short_and_begins_with_the_purpose() -> None:
    """One screen and a half."""
    lines = README.splitlines()
    screen = "\n".join(lines[:34])

    assert len(lines) <= 105
    assert "at the time of the" in screen
    assert "──load──▶" in screen
    assert "sh run demo" in screen
    assert "`sh run test`" in README


def test_every_glossary_term_is_used_in_the_code() -> None:
    """The glossary has no terms of its own."""
    names = {
        name
        for cell in re.findall(r"\| ([^|]*) \|$", GLOSSARY, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", cell)
    }

    assert names
    missing = {name for name in names if not re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", SOURCE)}
    assert missing == set()


def test_every_public_name_is_in_the_glossary() -> None:
    """Or it is an error, or has its usual meaning."""
    plain = {"open_service", "__version__"}
    errors = {
        name
        for name in snapshots.__all__
        if isinstance(getattr(snapshots, name), type) and issubclass(getattr(snapshots, name), Exception)
    }

    assert {name for name in snapshots.__all__ if f"`{name}" not in GLOSSARY} <= plain | errors


def test_every_file_that_the_architecture_names_exists() -> None:
    """And every package is named in it."""
    named = set(re.findall(r"`((?:src|tests|tools)/[\w/.]*)`", ARCHITECTURE))
    packages = {str(path.parent) for path in Path("src/snapshots").glob("app/*/__init__.py")}
    packages |= {str(path.parent) for path in Path("src/snapshots").glob("domain/*/__init__.py")}
    packages |= {str(path.parent) for path in Path("src/snapshots").glob("adapters/*/__init__.py")}

    assert [name for name in sorted(named) if not Path(name).exists()] == []
    assert packages <= named


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_use_standard_words(document: Path) -> None:
    """Not the private ones of earlier versions; this includes the help texts, by their reference."""
    assert re.findall(rf"\b(?:{BANNED})\b", document.read_text(), re.IGNORECASE) == []


@pytest.mark.parametrize("document", documents(), ids=str)
def test_prose_is_wrapped(document: Path) -> None:
    """At 100 characters; tables, links and blocks of code may be wider."""
    prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)

    assert [line for line in prose.splitlines() if len(line) > 100 and not line.startswith(("|", "!["))] == []


def test_decisions_are_short() -> None:
    """A decision record has at most 35 lines."""
    for document in Path("docs/decisions").glob("*.md"):
        assert len(document.read_text().splitlines()) <= 35, document


def test_required_attributions_are_shown() -> None:
    """In the README, in the NOTICE, and in the tables."""
    notice = Path("NOTICE").read_text()
    for words in ("IP Geolocation by DB-IP", "https://db-ip.com"):
        assert words in README
        assert words in notice
        assert words in SOURCE


def test_every_pin_is_a_version_and_not_a_url() -> None:
    """constraints.txt holds names and numbers only, for everything that is asked for."""
    lines = Path("constraints.txt").read_text().split()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    pyproject = tomllib.loads(Path("pyproject.toml").read_text())
    project = pyproject["project"]
    optional = (project["optional-dependencies"] | pyproject["dependency-groups"]).values()
    names = [name for part in optional for name in part if isinstance(name, str)]
    names = [name for name in names if not name.startswith(f"{DISTRIBUTION}[")]

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line) for line in lines)
    assert {re.split(r"[>=<\[]", name)[0] for name in project["dependencies"] + names} <= pinned


def test_the_script_that_sets_up_is_plain_sh() -> None:
    """On any POSIX shell, and with a sentence for a wrong word."""
    assert subprocess.run(["sh", "-n", "run"], check=False).returncode == 0
    done = subprocess.run(["sh", "run", "nonsense"], check=False, capture_output=True)
    assert (done.returncode, b"usage: sh run demo" in done.stderr) == (2, True)


def test_every_test_named_in_the_code_exists() -> None:
    """A port names the suite that its implementations pass."""
    named = {name for file in Path("src").rglob("*.py") for name in re.findall(r"tests/[\w/]+\.py", file.read_text())}

    assert named
    assert [name for name in sorted(named) if not Path(name).exists()] == []


@pytest.mark.parametrize("unit", sorted(Path("docs/systemd").glob("*.service")), ids=str)
def test_every_unit_calls_an_existing_command(unit: Path) -> None:
    """With the configuration file that is beside it; a timer has a service of its name."""
    settings = ConfigParser(interpolation=None, strict=False)
    settings.optionxform = str  # type: ignore[assignment,method-assign]
    settings.read(unit)
    words = shlex.split(settings["Service"]["ExecStart"])
    program, option, file, *arguments = words
    assert (Path(program).name, option, Path(file).name) == ("snapshots", "--config", "snapshots.toml")
    config = ConfigFile(Path("docs/systemd/snapshots.toml"), set(cli.commands))

    context = click.Context(cli, info_name="snapshots")
    context.meta[META_KEY] = config
    command: click.Command = cli
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        command = command.commands[name]
        if isinstance(command, click.Group):
            context = command.make_context(name, [arguments[0]], context, help_option_names=["--help"])
    assert command.make_context(command.name, arguments, context).params["db"] == "/var/lib/snapshots/snapshots.db"
    timer = unit.with_suffix(".timer")
    assert timer.exists() or settings["Service"].get("Type") != "oneshot"


RECIPES = re.findall(r"\| `snapshots load (\S+)` \|", Path("docs/how-to/load-from.md").read_text())


@pytest.mark.parametrize("recipe", RECIPES)
def test_logs_are_loaded_from_where_programs_keep_them(recipe: str, tmp_path: Path) -> None:
    """The active log, and one that was rotated and compressed."""
    folder = tmp_path / recipe.replace("~", "home").lstrip("/")
    folder.mkdir(parents=True)
    (folder / "cowrie.json").write_bytes(gzip.decompress(LOG.read_bytes()))
    shutil.copyfile("tests/data/cowrie-2.8.1.json.gz", folder / "cowrie.json.2026-11-10.gz")
    (folder / "cowrie.log").write_text("2026-11-24T02:14:09+0000 [-] Reading configuration\n")

    output = Folder(tmp_path).run(f"snapshots load {folder}")

    assert "981 new events, 162 new" in " ".join(output.split()), output


def test_there_are_recipes() -> None:
    """Otherwise the test above checks nothing."""
    assert len(RECIPES) >= 4
