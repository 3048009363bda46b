"""Lists of addresses of one type: plain, FireHOL and X4B, proxies with a port, and `ipset save`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from snapshots.adapters.intel.layouts.addresses import (
    NO_ADDRESS,
    Block,
    NotABlock,
    block_of,
    end_of,
    netmask_length,
    range_between,
)
from snapshots.adapters.intel.layouts.delimited import Sample, are_ranges
from snapshots.adapters.intel.layouts.table import EXCLUDED, Layout, Reading, Row, TableText, Unused
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS

NAMES: Mapping[str, IpType] = {
    r"tor[-_]?bulk[-_]?exit[-_]?list": IpType.TOR,
    r"tor_exits(_\d+d)?": IpType.TOR,
    r"(firehol_proxies|(socks_proxy|sslproxies)(_\d+d)?)": IpType.PROXY,
}
"""Names of files, and of FireHOL lists in their first lines, that imply a type. `dm_tor` lists more than exits."""

SOCKS = re.compile(r"socks[45]?[ah]?://", re.IGNORECASE)


def words_in(line: str) -> Sequence[str]:
    """Return the words of a line without its comment, separated by spaces, commas or quotes."""
    text = re.split(r"[#;]|(?<!:)//", line)[0].replace(" - ", "-")
    return [word for word in re.split(r"[\s,|\"'\[\]{}]+" if "]:" not in text else r"[\s,|\"']+", text) if word]


def _reading_of_list(table: TableText) -> Reading | None:
    if table.document is not None:
        return _reading_of_strings(table)
    lines = [words for line in table.head if (words := words_in(line))]
    if sum(_is_block(words[0]) for words in lines) * 2 < len(lines) or not lines:
        return None
    sample = table.cached(Sample.of)
    if sample is not None and (sample.is_range or sample.has_two_addresses):
        return sample.reading(last=1, ip_type=_implied_type(table)) if sample.is_range else None
    pairs = [words for words in lines if len(words) > 1 and _is_end(words[0]) and _is_end(words[1])]
    is_range = len(pairs) * 2 > len(lines)
    if is_range and not are_ranges(pairs):
        return None
    is_range = is_range or all(len(words) == 2 and _is_prefix(*words) for words in lines)
    return Reading(rows=lambda unused: _rows(table, unused, is_range=is_range), ip_type=_implied_type(table))


def _rows(table: TableText, unused: Unused, *, is_range: bool) -> Iterator[Row]:
    for line in table.lines():
        words = words_in(line)
        if not words:
            continue
        try:
            block = _block(words) if is_range else block_of(words[0])
        except (NotABlock, IndexError) as exc:
            unused[str(exc) if isinstance(exc, NotABlock) else NO_ADDRESS] += 1
            continue
        yield Row(*block, NO_FACTS)


def _block(words: Sequence[str]) -> Block:
    """Return the block of two words: an address, and the last one, a netmask or the length of a prefix."""
    length = netmask_length(words[1])
    if length is None and words[1].isdigit():
        length = int(words[1])
    return range_between(words[0], words[1]) if length is None else block_of(f"{words[0]}/{length}")


def _is_prefix(address: str, length: str) -> bool:
    """Whether two words are a prefix: no bit of the address after its length is set."""
    if not length.isdigit() or len(length) > 3 or "/" in address or not _is_end(address):
        return False
    try:
        return block_of(f"{address}/{length}")[:2] == end_of(address) and int(length) < 32
    except NotABlock:
        return False


def _reading_of_strings(table: TableText) -> Reading | None:
    """Read a JSON array of strings."""
    found = table.document
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        return None

    return Reading(rows=lambda unused: _blocks(found, unused))


def _implied_type(table: TableText) -> IpType | None:
    titles = [line.strip("# ").lower() for line in table.head[:20] if line.startswith("#")]
    for name, kind in NAMES.items():
        if re.match(rf"{name}(?![a-z])", table.name) or any(re.fullmatch(name, title) for title in titles):
            return kind
    stated = [line for line in table.head if line.strip() and not line.startswith("#")]
    return IpType.PROXY if stated and all(SOCKS.match(line.strip()) for line in stated) else None


def _is_block(word: str) -> bool:
    try:
        block_of(word)
    except NotABlock as exc:
        return str(exc) != NO_ADDRESS
    return True


def _is_end(word: str) -> bool:
    try:
        end_of(word)
    except NotABlock:
        return False
    return not word.isdigit()


def _reading_of_ipset(table: TableText) -> Reading | None:
    if not re.match(r"(create|add) \S+ \S+", table.first_line) or re.match("add element ", table.first_line):
        return None
    _refuse_several_sets(table, [line.split()[1] for line in table.head if re.match(r"add \S+ \S", line)])

    def rows(unused: Unused) -> Iterator[Row]:
        for line in table.lines():
            words = line.split()
            if not words or words[0] in {"create", "#"}:
                continue
            try:
                block = block_of(words[2].split(",")[0]) if words[0] == "add" and len(words) > 2 else block_of("")
            except NotABlock as exc:
                unused[str(exc)] += 1
                continue
            yield Row(*block, EXCLUDED if "nomatch" in words[3:] else NO_FACTS)

    return Reading(rows=rows, ip_type=_implied_type(table))


def _reading_of_nft(table: TableText) -> Reading | None:
    """Read the elements of one set of nftables, from `nft list set` or a file for `nft -f`."""
    if not re.match(r"(#!\S*nft|flush ruleset|table|(add )?(set|element|define)) ?", table.first_line):
        return None
    text = "\n".join(line.partition("#")[0] for line in table.lines())
    named = re.findall(r"(?:\bset\s+|\belement\s+(?:\w+\s+)?\S+\s+|\bdefine\s+)([\w-]+)\s*=?\s*\{", text)
    _refuse_several_sets(table, named)
    found = re.findall(r"(?:elements\s*=\s*|\belement [^{]*|\bdefine [^{]*)\{([^{}]*)\}", text)
    elements = [words[0] for each in found for part in each.split(",") if (words := part.split())]
    return Reading(rows=lambda unused: _blocks(elements, unused), ip_type=_implied_type(table)) if elements else None


def _refuse_several_sets(table: TableText, names: Sequence[str]) -> None:
    """Raise SourceUnreadable if a file has several sets: one may list what another excludes."""
    kinds = {re.sub(r"[-_.]?(ip|inet)?[-_.]?v?[46]$", "", name.lower()) for name in names}
    if len(kinds) > 1:
        shown = ", ".join(repr(name[:40]) for name in list(dict.fromkeys(names))[:5])
        raise SourceUnreadable(f"{table.path} contains several sets ({shown}): write each into a file of its own")


def _blocks(texts: Iterable[str], unused: Unused) -> Iterator[Row]:
    for text in texts:
        try:
            yield Row(*block_of(text), NO_FACTS)
        except NotABlock as exc:
            unused[str(exc)] += 1


LISTS = (
    Layout(name="nft", summary="a set of nftables: output of `nft list set`", reading=_reading_of_nft),
    Layout(name="ipset", summary="output of `ipset save`", reading=_reading_of_ipset),
    Layout(
        name="list",
        summary="addresses, blocks or ranges, one per line, also with a port or as URLs: FireHOL, X4B, torbulkexitlist",
        reading=_reading_of_list,
    ),
)
