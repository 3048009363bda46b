"""Why a session holds no snapshot."""

from enum import Enum


class Gap(Enum):
    """The reason, stored on every open session."""

    NO_SOURCE_IP = "no_source_ip"
    AMBIGUOUS_IP = "ambiguous_ip"
    NOT_ROUTABLE = "not_routable"
    NEVER_LOOKED_UP = "never_looked_up"
    AWAITING_CONNECT = "awaiting_connect"
    NOTHING_KNOWN = "nothing_known"
    EXPIRED = "expired"
    TOO_LATE = "too_late"
    PARTIAL = "partial"
    ASN_TOO_LARGE = "asn_too_large"
    UNDONE = "undone"

    @property
    def is_retryable(self) -> bool:
        """Whether what is learned of the address may close it."""
        return self not in (Gap.NO_SOURCE_IP, Gap.AMBIGUOUS_IP, Gap.NOT_ROUTABLE, Gap.UNDONE)

    @property
    def explanation(self) -> str:
        """Return one sentence for an operator."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Gap.NO_SOURCE_IP: "No event of the session names a valid source address.",
    Gap.AMBIGUOUS_IP: "Several addresses are written of the session, and not when each was seen.",
    Gap.NOT_ROUTABLE: "The address is private, shared, reserved or multicast: nobody on the internet owns it.",
    Gap.NEVER_LOOKED_UP: "No source has been asked about the address yet.",
    Gap.AWAITING_CONNECT: "Its connect event was not read yet, and can contain another address.",
    Gap.NOTHING_KNOWN: "Every source was asked about the address, and none knows it.",
    Gap.EXPIRED: "What was known of the address was too old at the time of the attack.",
    Gap.TOO_LATE: "What is known of the address was learned too long after the attack.",
    Gap.ASN_TOO_LARGE: "The network's number does not fit a 32-bit column; `snapshots adopt --widen` widens it.",
    Gap.UNDONE: "A run that had sealed it was undone; only `snapshots backfill` takes it again.",
    Gap.PARTIAL: "Something is known of the address, but not the facts that the policy requires.",
}
