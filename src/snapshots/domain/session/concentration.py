"""Measure how concentrated sessions are on few groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, log2
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """
    How sessions spread over groups, such as networks.

    Attributes:
        groups: How many groups there are.
        total: How many sessions they have together.
        first_share: The share of the largest group, 0 to 1; 0 without any.
        entropy: Shannon's entropy in bits: 0 if all fall on one, log2(groups) if they spread evenly.
    """

    groups: int
    total: int
    first_share: float
    entropy: float

    @classmethod
    def of(cls, sizes: Mapping[int, int]) -> Self:
        """Return the concentration of groups, given as the number of groups by size in sessions."""
        total = sum(size * count for size, count in sizes.items())
        shares = [(size / total, count) for size, count in sizes.items() if size]
        return cls(
            groups=sum(sizes.values()),
            total=total,
            first_share=max((share for share, _ in shares), default=0.0),
            entropy=abs(fsum(-count * share * log2(share) for share, count in shares)),
        )
