"""`snapshots news`: what is new since a time, or since the last call."""

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.filters import check_values, filter_of, filter_options
from snapshots.adapters.cli.news_cursor import NewsCursor, locked
from snapshots.adapters.cli.options import database_option, format_option, opened
from snapshots.adapters.cli.output.text.news import news_text, news_title
from snapshots.adapters.cli.output.webhook import chat_message, is_webhook, message, post
from snapshots.adapters.cli.services import OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.adapters.feeds.report_documents import news_document
from snapshots.app.queries.comparisons.news import News
from snapshots.app.queries.filters.filter_text import filter_text


@command(
    short_help="Show what is new since a time or the last call.",
    examples=[
        "snapshots news --since yesterday",
        "snapshots news --cursor news.json",
        "snapshots news --cursor news.json --post https://ntfy.example.com/honeypot",
        "snapshots news --cursor news.json --format json --post https://hooks.example.com/t1",
    ],
)
@option(
    "--cursor",
    "cursor_file",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    metavar="FILE",
    section=Section.GENERAL,
    help="Report each value once: this file records the values stored so far. The first call creates it.",
)
@option(
    "--post",
    "url",
    metavar="URL",
    section=Section.OUTPUT,
    help="Also send the news by HTTP POST: as text (such as to ntfy), or with --format json as JSON whose member `text`"
    " chat services show. Without news nothing is sent.",
)
@option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    section=Section.OUTPUT,
    help="Values listed of each kind.",
)
@format_option
@filter_options
@database_option
@click.pass_obj
def news(
    open_application: OpenApplication,
    /,
    cursor_file: Path | None,
    url: str | None,
    output: str,
    *,
    top: int,
    **options: Any,
) -> None:
    """
    Show networks, countries, IP types, clients, commands, keys and files that appeared for the first time.

    Also shows which networks and countries grew or fell, and which addresses changed networks between two attacks.
    Without --since, the last 7 days are shown. With --cursor, the news since the last call; --since is then the start
    of the first call. The cursor moves on only after the news was printed and sent.

    The filters are those of `query`; --until cannot be used: the period always ends now.
    """
    if options["until"] is not None:
        raise click.UsageError("--until cannot be used with news: the period always ends now")
    if url is not None and not is_webhook(url):
        raise click.UsageError("--post needs a URL that begins with http:// or https://, in ASCII")
    with (
        locked(cursor_file) if cursor_file is not None else nullcontext(),
        opened(open_application, {"db": options.pop("db")}) as application,
    ):
        session_filter = filter_of(application, options)
        since, session_filter = session_filter.since, replace(session_filter, since=None)
        selection = filter_text(session_filter)
        cursor = NewsCursor.read(cursor_file) if cursor_file is not None else None
        if cursor is not None and cursor.session_filter != selection:
            raise click.UsageError(
                f"{cursor_file} belongs to other filters ({cursor.session_filter or 'none'}); use another file"
            )
        found = application.news.news(
            session_filter,
            since=cursor.until if cursor is not None else since,
            top=top,
            known=cursor.known if cursor is not None else None,
        )
        if found.newest is None:
            check_values(application, session_filter)
        _deliver(found, selection, url, is_json=output == "json", top=top)
        if cursor_file is not None:
            NewsCursor(session_filter=selection, until=found.until, known=found.stored).write(cursor_file)


def _deliver(found: News, selection: str, url: str | None, *, is_json: bool, top: int) -> None:
    """Print the news, and send it unless it is empty."""
    text, document = news_text(found, selection), news_document(found, selection, top=top)
    click.echo(to_json(document) if is_json else text.rstrip("\n"))
    if url is not None and not found.is_empty:
        sys.stdout.flush()
        body = to_json({"text": chat_message(text), **document}) if is_json else message(text)
        post(url, body, title=news_title(found), is_json=is_json)
