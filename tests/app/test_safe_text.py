"""Text that came from elsewhere, made safe to show."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.app.safe_text import HARMFUL, escaped, escaped_lines, one_line, shown_url, without_passwords

TEXTS = st.text(st.characters(codec=None), max_size=60) | st.text("\x1b\x9b\u202e\ud800\n\t\rab ", max_size=20)


@given(TEXTS)
@example("\x1b]0;title\x07\u202eevil\x9b31m\udc80")
def test_no_control_characters_are_left(text: str) -> None:
    """No escape sequence, no change of direction, no lone surrogate."""
    for cleaned in (escaped(text), one_line(text), escaped_lines(text).replace("\n", "").replace("\t", "")):
        assert not {unicodedata.category(char) for char in cleaned} & HARMFUL
        cleaned.encode()  # a lone surrogate could not be


@given(TEXTS)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """A table cleans its cells, and the stream cleans the table."""
    for clean in (escaped, escaped_lines, one_line):
        assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=60))
def test_plain_text_stays_as_it_is(text: str) -> None:
    """In every language."""
    assert escaped(text) == escaped_lines(text) == text


def test_line_breaks_and_tabs_are_kept_or_escaped() -> None:
    """A table has line breaks; a message is one line."""
    assert escaped("a\n\tb") == "a\\n\\tb"
    assert escaped_lines("a\n\tb\x07") == "a\n\tb\\x07"
    assert one_line("  refused\n\tIs it running?\r\n") == "refused Is it running?"


URLS = [
    "postgresql://u:{}@127.0.0.1:1/x",
    "postgres://u:{}@[::1]/x?sslmode=require",
    "postgresql+psycopg2://u:{}@h:54x2/x",
    "postgresql:/u:{}@h/x",
    "postgresql//u:{}@h/x",
    "u:{}@h/x",
    "postgresql://h/x?user=u&password={}",
    "postgresql://u@h/x?sslpassword={}&application_name=x",
    "host=h user=u password={}",
    "host=h PASSWORD = '{}' dbname=x",
]


PASSWORDS = ["hunter2", "p@ss", "p:a:ss", "p/a#s?s", "'q", "p%40ss"]
WRITTEN = [(url, password) for url in URLS for password in PASSWORDS if "=" not in url or "'" not in password]
"""A password with a quote is written with an escape among settings of the form name=value."""


@pytest.mark.parametrize(("url", "password"), WRITTEN)
def test_no_password_of_a_url_is_shown(url: str, password: str) -> None:
    """However the URL is written, and whether or not it is one."""
    text = url.format(password)

    assert password not in shown_url(text)
    assert password not in without_passwords(f"the database {text} failed")


@pytest.mark.parametrize("password", ["with space", "with 'quotes'", "a @ b"])
def test_an_invalid_url_is_shown_without_its_password_even_with_spaces(password: str) -> None:
    """All of it is the URL."""
    assert password.rsplit(maxsplit=1)[-1] not in shown_url(f"postgresql://u:{password}@h/x")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@h:5432/x?sslmode=require",
        "sqlite:////var/lib/a@b/snapshots.db",
        "postgresql://[::1]:5432/x",
        "host=h dbname=x",
    ],
)
def test_a_url_without_a_password_is_shown_unchanged(text: str) -> None:
    """Messages still name the server and the database."""
    assert shown_url(text) == without_passwords(text) == text


def test_user_and_host_are_still_shown() -> None:
    """The database can still be identified."""
    assert shown_url("postgresql://u:p@ss@h:1/x") == "postgresql://u:***@h:1/x"
