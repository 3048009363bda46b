"""Which rejected lines of a content are stored as dead letters."""

from snapshots.app.load.dead_letters import RejectedLines


def test_a_content_whose_bad_lines_are_all_stored_has_no_letter_for_the_rest() -> None:
    """The letter that counts the rest only exists when lines exceeded the bound."""
    assert RejectedLines("cowrie.json").rest() is None
