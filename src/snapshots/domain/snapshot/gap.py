"""Reasons why a session has no snapshot."""

from enum import Enum


class Gap(Enum):
    """
    A reason why a session has no snapshot, stored in every open session.

    A gap is a result and not an error: `SnapshotService.enrich` returns it in the summary of the session.
    """

    NO_SOURCE_IP = "no_source_ip"
    AMBIGUOUS_IP = "ambiguous_ip"
    NOT_ROUTABLE = "not_routable"
    NEVER_LOOKED_UP = "never_looked_up"
    AWAITING_CONNECT = "awaiting_connect"
    NOTHING_KNOWN = "nothing_known"
    EXPIRED = "expired"
    TOO_LATE = "too_late"
    NOT_ALLOCATED = "not_allocated"
    PARTIAL = "partial"
    ASN_TOO_LARGE = "asn_too_large"
    UNDONE = "undone"

    @property
    def is_retryable(self) -> bool:
        """Whether new observations of the address can close the gap."""
        return self not in (Gap.NO_SOURCE_IP, Gap.AMBIGUOUS_IP, Gap.NOT_ROUTABLE, Gap.UNDONE)

    @property
    def explanation(self) -> str:
        """Return the reason as one sentence for an operator."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Gap.NO_SOURCE_IP: "No event of the session names a valid source address.",
    Gap.AMBIGUOUS_IP: "Several addresses are stored for the session, without the times at which they were seen.",
    Gap.NOT_ROUTABLE: "The address is private, shared, reserved or multicast, so no network on the internet owns it.",
    Gap.NEVER_LOOKED_UP: "The address has not been looked up in any source yet.",
    Gap.AWAITING_CONNECT: "Its connect event was not read yet, and can contain another address.",
    Gap.NOTHING_KNOWN: "The address was looked up in every source, and no source contains it.",
    Gap.EXPIRED: "The facts about the address were too old at the time of the attack.",
    Gap.TOO_LATE: "The facts about the address are from too long after the attack.",
    Gap.NOT_ALLOCATED: "The ASN that a later table states cannot have existed yet at the time of the attack.",
    Gap.ASN_TOO_LARGE: "The ASN does not fit a 32-bit column; `snapshots adopt --widen` widens it.",
    Gap.UNDONE: "The run that had sealed it was undone; only `snapshots backfill` can seal it again.",
    Gap.PARTIAL: "Some facts about the address are known, but not those that the policy requires.",
}
