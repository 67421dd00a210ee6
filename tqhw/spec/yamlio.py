"""Reading YAML that strangers wrote: Timeloop's tags, line numbers, and nothing that runs or explodes.

The scalars follow YAML 1.2, as Timeloop's front end does: ``1e-9`` is a number, ``no`` and ``N`` are text.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from tqhw.errors import TqhwError
from tqhw.spec.expression import is_computation
from tqhw.system.files import read_text as read_text  # also for those who read documents by other ways than load()
from tqhw.system.files import write_text as write_text

if TYPE_CHECKING:
    from yaml import SafeDumper
else:  # libyaml, where PyYAML comes with it, writes several times as fast
    SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

TAGS = ("!Container", "!Component", "!Parallel", "!Hierarchical", "!Nothing")
MAX_NODES = 1_000_000  # after aliases are expanded; a billion laughs is refused, a real architecture has thousands
MAX_DEPTH = 100  # lists and maps within each other; what walks a document is recursive, and a real one has about ten
_UNFIT = re.compile(r"[\0\ud800-\udfff]")  # a zero byte, half a character: no file's name and no file holds them


class Map(dict[str, Any]):
    """A YAML mapping that remembers its tag and the lines where it and its keys start (1-based)."""

    tag: str | None = None
    line: int = 0
    source: str = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """The line of a key; that of the mapping for a key that is not in it, or was merged or put in."""
        return self.lines.get(key, self.line)

    def place(self, key: str | None = None) -> str:
        """Where this mapping (or one of its keys) stands, for an error message."""
        return f"{self.source}:{self.line_of(key)}: {key}" if key else f"{self.source}:{self.line}"


class Quoted(str):
    """A text that stood in quotes: Accelergy takes it as it is and evaluates every other one."""


class BlockText(str):
    """A text that stood behind ``|`` or ``>``, which is evaluated like one without quotes."""


_STYLES: dict[str | None, type[str]] = {"'": Quoted, '"': Quoted, "|": BlockText, ">": BlockText}


class Loader(yaml.SafeLoader):
    source = "<text>"


# YAML 1.2's core schema instead of 1.1's: no sexagesimals, dates or yes/no; exponents need no dot.
Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:[0-9]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("float", r"^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$", "-+."),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("merge", r"^<<$", "<"),
):
    _chars = [*_first.replace("\0", ""), *([""] if "\0" in _first else [])]
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _chars)


# What YAML's core schema has; sets, dates and the like would be objects that no document here can mean.
_CORE = ("null", "bool", "int", "float", "str", "seq", "map")
Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _CORE
}


def _int(loader: Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return whole(text, 16 if "x" in text.lower() else 10)


def whole(text: str, base: int) -> int:
    """The whole number in ``text``. Raises ValueError for one that no double holds."""
    value = int(text, base)
    if not abs(value) <= sys.float_info.max:
        raise ValueError("no double holds it")
    return value


def _map(loader: Loader, node: yaml.Node) -> Map:
    result = Map()
    result.line = node.start_mark.line + 1
    result.source = loader.source
    result.tag = node.tag if node.tag.startswith("!") else None
    if isinstance(node, yaml.ScalarNode) and node.value == "":
        return result  # `!Nothing` on its own
    if not isinstance(node, yaml.MappingNode):
        raise TqhwError(f"tag {node.tag} needs a mapping", place=result.place())
    seen = set()
    for key_node, _ in node.value:
        place = f"{loader.source}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise TqhwError("a key must be a plain word", place=place)
        if _UNFIT.search(key_node.value):
            raise TqhwError(f"the key {key_node.value[:60]!a} holds what no file can hold", place=place)
        if key_node.value in seen:
            raise TqhwError(f"key '{key_node.value}' is given twice", place=place, lever="keep one")
        seen.add(key_node.value)
        result.lines[str(key_node.value)] = key_node.start_mark.line + 1
    loader.flatten_mapping(node)  # puts first what `<<` merges in, so that the mapping's own keys win
    for key_node, value_node in node.value:
        result[str(key_node.value)] = loader.construct_object(value_node, deep=True)
    return result


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if _UNFIT.search(text):
        raise ValueError
    return _STYLES.get(node.style, str)(text)


def checked_scalar(kind: str, construct: Callable[[Any, Any], Any]) -> Callable[[Loader, yaml.Node], Any]:
    """``construct``, whose refusal of a scalar's text becomes a TqhwError with the line."""

    def constructor(loader: Loader, node: yaml.Node) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, KeyError):
            place = f"{loader.source}:{node.start_mark.line + 1}"
            raise TqhwError(f"{str(node.value)[:60]!a} cannot be read as {kind}", place=place) from None

    return constructor


Loader.add_constructor("tag:yaml.org,2002:map", _map)
Loader.add_constructor("tag:yaml.org,2002:str", checked_scalar("a text", _text))
Loader.add_constructor("tag:yaml.org,2002:int", checked_scalar("a whole number that a double holds", _int))
Loader.add_constructor("tag:yaml.org,2002:float", checked_scalar("a number", yaml.SafeLoader.construct_yaml_float))
Loader.add_constructor("tag:yaml.org,2002:bool", checked_scalar("true or false", yaml.SafeLoader.construct_yaml_bool))
for _name in TAGS:
    Loader.add_constructor(_name, _map)


try:
    from yaml._yaml import CParser
except ImportError:
    _QuickLoader: Any = None
else:

    class _QuickLoader(Composer, CParser, SafeConstructor, Resolver):  # type: ignore[no-redef]
        """:class:`Loader` with libyaml's scanner and parser, several times as fast."""

        yaml_implicit_resolvers = Loader.yaml_implicit_resolvers
        yaml_constructors = Loader.yaml_constructors

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)


# Lines that libyaml takes for the same as PyYAML does: comments, and what has no tab, `?`, `%`, `|` or `>`, no `!`
# without a name, and nothing but ASCII. Of the others libyaml takes some that PyYAML refuses, or for something else.
_QUICK = re.compile(r"(?:(?:#[ -~]*+|(?:[ \"-$&-=@-{}~]++|!(?=[A-Za-z]+[ \n]))*+)\n)*+")


def _check_size(root: yaml.Node, source: str) -> None:
    """Refuses aliases that contain themselves or multiply beyond MAX_NODES, and depth, before anything is built."""
    sizes: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> tuple[int, int]:
        """How many values a node holds, and how many within each other."""
        key = id(node)
        if key in sizes:
            return sizes[key]
        place = f"{source}:{node.start_mark.line + 1}"
        if key in open_nodes:
            raise TqhwError("an alias contains itself", place=place, lever="write the value out")
        open_nodes.add(key)
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        inside = [size(child) for child in children]
        open_nodes.discard(key)
        total, depth = 1 + sum(n for n, _ in inside), 1 + max((d for _, d in inside), default=0)
        if total > MAX_NODES:
            raise TqhwError(f"aliases expand to more than {MAX_NODES} values", place=place, lever="write fewer aliases")
        if depth > MAX_DEPTH:
            raise TqhwError("the YAML is nested too deeply", place=source, lever=f"{MAX_DEPTH} levels are read")
        sizes[key] = total, depth
        return total, depth

    size(root)


def parse(text: str, source: str = "<text>", reader: Callable[[str], Loader] = Loader) -> Any:
    """The document in ``text``: mappings become :class:`Map`. ``source`` names it in messages, ``reader`` reads it.

    Raises TqhwError with line and column for text that is no YAML, is empty, has several documents, a tag other
    than Timeloop's, a key twice, or aliases that explode.
    """
    if reader is Loader and _QuickLoader is not None and _QUICK.fullmatch(f"{text}\n"):
        with suppress(yaml.YAMLError, TqhwError, RecursionError, ValueError, OverflowError):  # which Loader words
            return _document(_QuickLoader(text), source)
    try:
        loader = reader(text)
    except yaml.YAMLError as error:
        raise TqhwError(f"not valid YAML: {' '.join(str(error).split())}", place=source) from None
    try:
        return _document(loader, source)
    except yaml.constructor.ConstructorError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 0
        raise TqhwError(
            f"{error.problem}", place=f"{source}:{line}", lever=f"the tags known here are {', '.join(TAGS)}"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise TqhwError(f"not valid YAML: {error.problem or error.context}", place=at) from None
    except yaml.YAMLError as error:
        raise TqhwError(f"not valid YAML: {' '.join(str(error).split())}", place=source) from None
    except RecursionError:
        raise TqhwError("the YAML is nested too deeply", place=source, lever="flatten it") from None
    except (ValueError, OverflowError) as error:  # Python's own, of an escape that is no character
        at = f"{source}:{loader.line + 1}"
        raise TqhwError(f"not valid YAML: {error}", place=at, lever="mend it, or quote it") from None


def _document(loader: Any, source: str) -> Any:
    """The document that a loader reads. Raises TqhwError, and what PyYAML raises."""
    loader.source = source
    try:
        node = loader.get_single_node()
        if node is None:
            raise TqhwError("the file is empty", place=source, lever="it needs a YAML document")
        _check_size(node, source)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def load(path: str | Path) -> Any:
    """The YAML document in a file (see :func:`parse`)."""
    return parse(read_text(path), str(path))


def as_map(value: Any, place: str, what: str) -> Map:
    """``value`` if it is a mapping, else a TqhwError that says what was expected at ``place``."""
    if not isinstance(value, Map):
        found = "nothing" if value is None else f"'{str(value)[:60]}'"
        raise TqhwError(f"{what} must be a mapping, found {found}", place=place)
    return value


class _Dumper(SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _in_block(node: yaml.CollectionNode, scalars: list[yaml.Node]) -> yaml.Node:
    """``node``, in block style where in flow style an expression of it (``max(A, 16)``) would have to be quoted."""
    plain = [s.value for s in scalars if isinstance(s, yaml.ScalarNode) and s.style is None]
    if any(not _plain(text).flow and is_computation(text) for text in plain):
        node.flow_style = False
    return node


def _represent_map(dumper: _Dumper, value: dict[str, Any]) -> yaml.Node:
    tag = getattr(value, "tag", None) or "tag:yaml.org,2002:map"
    node = dumper.represent_mapping(tag, value.items(), flow_style=None)
    return _in_block(node, [item for pair in node.value for item in pair])


def _represent_list(dumper: _Dumper, value: list[Any] | tuple[Any, ...]) -> yaml.Node:
    node = dumper.represent_sequence("tag:yaml.org,2002:seq", list(value))
    return _in_block(node, node.value)


class _Plain(NamedTuple):
    """Whether a text can stand without quotes in flow style and in block style."""

    flow: bool
    block: bool


@lru_cache(4096)
def _plain(text: str) -> _Plain:
    found = yaml.emitter.Emitter(io.StringIO()).analyze_scalar(text)
    return _Plain(found.allow_flow_plain, found.allow_block_plain)


def _represent_str(dumper: _Dumper, value: str) -> yaml.Node:
    # The dumper quotes what YAML 1.1 would take for something else (no, 1:30), this what only 1.2 would (1e-9).
    resolvers = Loader.yaml_implicit_resolvers.get(value[:1], [])
    style = "'" if any(pattern.match(value) for _, pattern in resolvers) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(Map, _represent_map)
_Dumper.add_representer(dict, _represent_map)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(BlockText, lambda d, v: d.represent_scalar("tag:yaml.org,2002:str", str(v), style="|"))
_Dumper.add_representer(Quoted, lambda d, v: d.represent_scalar("tag:yaml.org,2002:str", str(v), style='"'))
_Dumper.add_representer(tuple, _represent_list)


def tagged(tag: str | None, **items: Any) -> Map:
    """A mapping with a tag, to be dumped."""
    result = Map(items)
    result.tag = tag
    return result


def dump(value: Any) -> str:
    """``value`` as YAML, keys in their order, tags kept; an expression stands without quotes, a Quoted in them."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110, default_flow_style=None))
