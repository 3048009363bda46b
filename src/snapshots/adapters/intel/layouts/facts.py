"""Parse the facts in the cells of tables."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from snapshots.adapters.intel.parsing import asn_in, country_in
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts

BLANKS = frozenset({"", "-", "--", "0", "none", "null", "n/a", "na.", "nan", "unknown", "unk", "\\n", "?"})
"""Cells that state nothing, in lower case."""

CONTINENTS = frozenset({"AF", "AN", "AS", "EU", "NA", "OC", "SA"})
"""Codes of continents; all but EU and OC are also codes of countries."""

NEGATIVES = frozenset({"benign", "clean", "false", "good", "legit", "legitimate", "no", "normal", "safe"})
"""Words in a column of types for addresses without a type."""

COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW AN CS
    YU
    """.split()  # noqa: SIM905 - a list of 253 strings is a long page
)
"""Assigned codes of ISO 3166-1, and those of former countries in tables of past years."""

NO_COUNTRIES = frozenset({"EU", "AP", "ZZ", "XX", "A1", "A2", "O1", "T1"})
"""Codes of regions and of unknown or anonymous places, in the place of a country."""

FLAGS: Mapping[str, IpType] = {
    "is_anonymous_vpn": IpType.VPN,
    "is_vpn": IpType.VPN,
    "vpn": IpType.VPN,
    "is_tor_exit_node": IpType.TOR,
    "is_tor": IpType.TOR,
    "tor": IpType.TOR,
    "is_public_proxy": IpType.PROXY,
    "is_residential_proxy": IpType.PROXY,
    "is_anonymous_proxy": IpType.PROXY,
    "is_proxy": IpType.PROXY,
    "proxy": IpType.PROXY,
    "is_relay": IpType.PROXY,
    "relay": IpType.PROXY,
    "is_hosting_provider": IpType.DATACENTER,
    "is_hosting": IpType.DATACENTER,
    "is_datacenter": IpType.DATACENTER,
    "hosting": IpType.DATACENTER,
    "datacenter": IpType.DATACENTER,
    "is_mobile": IpType.MOBILE,
}
"""Columns and fields with a Boolean, of the anonymous-IP databases of MaxMind, IPinfo and others."""

TYPES = ("ip_type", "proxy_type", "user_type", "usage_type", "connection_type", "type", "category", "kind")
"""Names of columns and fields with words for types."""

TRUE = frozenset({"true", "t", "1", "yes", "y"})


def is_blank(word: str) -> bool:
    """Whether a cell states nothing."""
    return word.strip().lower() in BLANKS


def are_continents(words: Iterable[str]) -> bool:
    """Whether cells that should be countries name continents: all do, or one names Oceania, which no country does."""
    stated = {word.strip().upper() for word in words if not is_blank(word)}
    return "OC" in stated or (bool(stated) and stated <= CONTINENTS)


def country_code(word: str) -> str | None:
    """Return the code of an existing country; None for everything else."""
    code = country_in(word.strip())
    return code if code in COUNTRIES else None


@lru_cache(maxsize=1_000_000)
def facts_of(
    asn: str, organization: str, country: str, type_words: tuple[str, ...], flagged: frozenset[IpType]
) -> IpFacts:
    """Return the facts in the cells of a row; equal cells give the same object."""
    number, code = asn_in(asn.strip()), country_code(country)
    named = {kind for word in type_words for part in word.replace(";", ",").split(",") if (kind := IpType.named(part))}
    if number is None and code is None and not named and not flagged:
        return NO_FACTS
    name = organization.strip()
    return IpFacts(
        asn=number,
        organization=None if number is None or is_blank(name) else name,
        country=code,
        ip_types=frozenset(named | flagged),
    )


@lru_cache(maxsize=1_000_000)
def typed(facts: IpFacts, ip_type: IpType) -> IpFacts:
    """Return facts with a type added; equal arguments give the same object."""
    return IpFacts(
        asn=facts.asn,
        organization=facts.organization,
        country=facts.country,
        ip_types=facts.ip_types | {ip_type},
    )
