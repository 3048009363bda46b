"""A filter in words."""

from snapshots.app.queries.action import Action
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from tests.strategies import DAY, NOON


def test_a_filter_is_described_by_the_names_of_its_options() -> None:
    """So that a reader can repeat it."""
    session_filter = SessionFilter(
        since=NOON,
        until=NOON + DAY,
        values={Dimension.COUNTRY: ["CN", None], Dimension.IP_TYPE: ["VPN"]},
        excluded={Dimension.USER: ["root"]},
        did=(Action.LOGIN, Action.COMMAND),
        did_not=(Action.DOWNLOAD,),
    )

    assert filter_text(session_filter) == (
        f"since {NOON:%Y-%m-%d %H:%M}, until {NOON + DAY:%Y-%m-%d %H:%M}, country CN or none, ip type VPN,"
        " not user root, did login or command, not did download"
    )
    assert filter_text(SessionFilter()) == ""
