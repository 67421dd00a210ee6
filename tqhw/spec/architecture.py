"""Architectures: Timeloop v0.4's tree of containers and components, frozen, with expressions resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
from tqhw.spec.constraints import Constraints, parse_constraints
from tqhw.spec.expression import evaluate, names_in
from tqhw.spec.fields import as_flag, as_list, as_name, is_number, is_whole
from tqhw.spec.sections import VERSION, check_version, passed_by
from tqhw.spec.yamlio import Map, Quoted, as_map

# timeloopfe v4/arch.py: which component class is a storage, which computes.
STORAGE_CLASSES = ("storage", "DRAM", "SRAM", "regfile", "smartbuffer")
COMPUTE_CLASSES = ("compute", "mac", "intmac", "fpmac")


def _family(class_: str) -> str:
    """``smartbuffer_RF`` -> ``smartbuffer``. The front end takes any class that contains a known name, typos too."""
    return class_.partition("_")[0]


@dataclass(frozen=True)
class Spatial:
    """A fan-out of meshX columns times meshY rows."""

    meshX: int = 1
    meshY: int = 1

    @property
    def fanout(self) -> int:
        return self.meshX * self.meshY


@dataclass(frozen=True)
class Container:
    """A node that groups what follows it: attributes are inherited, a spatial fan-out multiplies."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    spatial: Spatial = Spatial()
    constraints: Constraints = Constraints()
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class Component(Container):
    """A storage or compute component. ``attributes`` hold what it inherits too; ``own`` what the file gave it."""

    class_: str = "storage"
    subclass: str | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    energy_scale: float = 1.0
    area_scale: float = 1.0

    @property
    def is_compute(self) -> bool:
        return _family(self.class_) in COMPUTE_CLASSES

    @property
    def energy_class(self) -> str:
        """The class that an energy estimator is asked for."""
        return self.subclass or self.class_


@dataclass(frozen=True)
class Nothing:
    """A branch of a ``!Parallel`` for data spaces that pass it by."""

    constraints: Constraints = Constraints()


@dataclass(frozen=True)
class Parallel:
    """Branches of which every data space takes exactly one."""

    nodes: tuple[Node, ...]
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class Hierarchical:
    """A sequence of nodes, outermost first."""

    nodes: tuple[Node, ...]


Node = Container | Component | Nothing | Parallel | Hierarchical


@dataclass(frozen=True)
class Architecture:
    """The tree, outermost node first, and the variables (technology, global_cycle_seconds, ...).

    ``computed_from``: names that its expressions read. ``notes``: what stood in its file and is read by nobody.
    """

    name: str
    nodes: tuple[Node, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    source: str = field(default="", compare=False)
    computed_from: frozenset[str] = field(default=frozenset(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def components(self) -> tuple[Component, ...]:
        """All components, outermost first, with the attributes they inherit."""
        return tuple(node for node in leaves(self.nodes) if isinstance(node, Component))

    def component(self, name: str) -> Component:
        """The component of that name; the nearest known name if there is none."""
        known = {c.name: c for c in self.components()}
        if name not in known:
            raise unknown("component", name, known, self.source or self.name)
        return known[name]


def leaves(nodes: tuple[Node, ...]) -> Iterator[Node]:
    """The containers, components and empty branches of a tree, outermost first."""
    for node in nodes:
        if isinstance(node, Parallel | Hierarchical):
            yield from leaves(node.nodes)
        else:
            yield node


class _ArchitectureReader:
    """Builds the tree; ``names`` are the variables, and attributes flow from a container to what follows it."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self.seen: dict[str, str] = {}
        self.computed_from: set[str] = set()

    def nodes(self, items: Any, inherited: dict[str, Any], place: str) -> tuple[Node, ...]:
        result: list[Node] = []
        scope = dict(inherited)
        for item in _some_nodes(items, place):
            node = self.node(as_map(item, place, "a node"), scope)
            if isinstance(node, Container) and not isinstance(node, Component):
                scope.update(node.attributes)
            result.append(node)
        return tuple(result)

    def node(self, item: Map, scope: dict[str, Any]) -> Node:
        if item.tag in ("!Parallel", "!Hierarchical"):
            _known_keys(item, ("nodes",))
            if item.tag == "!Hierarchical":
                return Hierarchical(self.nodes(item.get("nodes"), scope, item.place("nodes")))
            # Siblings of a !Parallel do not inherit from each other.
            branches = _some_nodes(item.get("nodes"), item.place("nodes"))
            return Parallel(
                tuple(self.node(as_map(b, item.place(), "a node"), dict(scope)) for b in branches),
                item.place(),
            )
        if item.tag == "!Nothing":
            _known_keys(item, ("name", "constraints"))
            return Nothing(parse_constraints(item.get("constraints"), item.place("constraints")))
        if item.tag not in ("!Container", "!Component"):
            raise TqhwError(
                "a node needs a tag",
                place=item.place(),
                lever="write !Container, !Component, !Parallel or !Nothing",
            )
        return self.leaf(item, scope)

    def leaf(self, item: Map, scope: dict[str, Any]) -> Container:
        keys: tuple[str, ...] = ("name", "attributes", "spatial", "constraints")
        if item.tag == "!Component":
            keys = (*keys, "class", "subclass", "required_actions", "energy_scale", "area_scale", "enabled")
        _known_keys(item, keys, not_modelled=("sparse_optimizations", "networks"))
        if item.get("name") is None:
            raise TqhwError("the node has no name", place=item.place(), lever="add `name:`")
        name = as_name(item["name"], item.place("name"), "a node's name")
        if name in self.seen:
            raise TqhwError(
                f"two nodes are named '{name}'",
                place=item.place(),
                lever=f"rename one; the other is at {self.seen[name]}",
            )
        self.seen[name] = item.place()
        given = item.get("attributes")
        given = Map() if given is None else as_map(given, item.place("attributes"), "attributes")
        own = self.attributes(given, scope)
        container = Container(
            name,
            own,
            self.spatial(item, {**scope, **own}),
            parse_constraints(item.get("constraints"), item.place("constraints")),
            item.place(),
        )
        if item.tag == "!Container":
            return container
        class_ = item.get("class")
        if class_ is None:
            raise TqhwError(f"component '{name}' has no class", place=item.place(), lever="add `class:`")
        if _family(str(class_)) not in (*STORAGE_CLASSES, *COMPUTE_CLASSES):
            raise unknown("component class", str(class_), (*STORAGE_CLASSES, *COMPUTE_CLASSES), item.place("class"))
        if not as_flag(item.get("enabled", True), item.place("enabled"), "enabled"):
            raise TqhwError("'enabled: false' is not modelled", place=item.place(), lever="remove the component")
        subclass = item.get("subclass")
        return Component(
            name=name,
            attributes={**scope, **own},
            spatial=container.spatial,
            constraints=container.constraints,
            place=container.place,
            class_=class_,
            subclass=None if subclass is None else as_name(subclass, item.place("subclass"), "a subclass"),
            own=own,
            energy_scale=_scale(item, "energy_scale"),
            area_scale=_scale(item, "area_scale"),
        )

    def attributes(self, entry: Map, scope: dict[str, Any]) -> Map:
        names = {**self.variables, **scope}
        result = Map()
        result.source, result.line, result.lines = entry.source, entry.line, entry.lines
        for key, value in entry.items():
            result[key] = self.resolve(value, {**names, **result}, entry.place(key))
        return result

    def resolve(self, value: Any, names: Mapping[str, Any], place: str) -> Any:
        # A text without quotes is an expression where it reads as one and knows all its names; LPDDR4 stays a text.
        if not isinstance(value, str) or isinstance(value, Quoted):
            return value
        try:
            found = names_in(value)
        except TqhwError:
            return value
        if not found <= set(names):
            return value
        self.computed_from |= found
        return evaluate(value, names, place)

    def spatial(self, item: Map, names: Mapping[str, Any]) -> Spatial:
        value = item.get("spatial")
        if value in (None, {}):
            return Spatial()
        entry = as_map(value, item.place("spatial"), "spatial")
        _known_keys(entry, ("meshX", "meshY"))
        mesh = {}
        for key in ("meshX", "meshY"):
            number = self.resolve(entry.get(key, 1), {**self.variables, **names}, entry.place(key))
            if not is_whole(number):
                raise TqhwError(f"{key} '{number}' must be a whole number of at least 1", place=entry.place(key))
            mesh[key] = int(number)
        return Spatial(**mesh)


def _some_nodes(items: Any, place: str) -> list[Any]:
    if not (nodes := as_list(items, place, "nodes")):
        raise TqhwError("there must be at least one node", place=place)
    return nodes


def _scale(item: Map, key: str) -> float:
    value = item.get(key)
    if value is None:
        return 1.0
    if not is_number(value) or value < 0:
        raise TqhwError(f"{key} '{value}' must be a number of at least 0", place=item.place(key))
    return float(value)


def _known_keys(entry: Map, known: tuple[str, ...], not_modelled: tuple[str, ...] = ()) -> None:
    for key, value in entry.items():
        if key in known or (key in not_modelled and not value):
            continue
        if key in not_modelled:
            raise TqhwError(f"'{key}' is not modelled", place=entry.place(), lever="remove it")
        raise unknown("key", key, known, entry.place())


def parse_architecture(document: Any, source: str, name: str | None = None) -> Architecture:
    """A Timeloop v0.4 document with ``architecture`` and, optionally, ``variables``."""
    top = as_map(document, source, "an architecture file")
    if "architecture" not in top:
        raise TqhwError(
            "there is no 'architecture' in the file", place=source, lever="add `architecture: {nodes: ...}`"
        )
    notes = passed_by(top, ("architecture", "variables", "components", "compound_components", "ERT", "ART"))
    body = as_map(top["architecture"], top.place("architecture"), "architecture")
    if "subtree" in body and "nodes" not in body:
        raise TqhwError(
            "this is a tree of Timeloop v0.2 or v0.3 (`subtree`, `local`)",
            place=body.place("subtree"),
            lever=f"a v{VERSION} architecture has `nodes`",
        )
    check_version(body)
    _known_keys(body, ("version", "nodes"))
    raw = top.get("variables")
    raw = Map() if raw is None else as_map(raw, top.place("variables"), "variables")
    variables: dict[str, Any] = {}
    reader = _ArchitectureReader(variables)
    for key, value in raw.items():
        if key != "version":
            variables[key] = reader.resolve(value, variables, raw.place(key))
    nodes = reader.nodes(body.get("nodes"), {}, body.place("nodes"))
    computed_from = frozenset(reader.computed_from)
    architecture = Architecture(name or Path(source).stem, nodes, variables, source, computed_from, notes)
    computes = [c for c in architecture.components() if c.is_compute]
    if len(computes) != 1:
        raise TqhwError(
            f"an architecture needs exactly one compute component, found {len(computes)}",
            place=source,
            lever=f"give one component a class of {', '.join(COMPUTE_CLASSES)}",
        )
    return architecture


def load_architecture(path: str | Path, name: str | None = None) -> Architecture:
    """The architecture in a YAML file. Raises TqhwError for anything Timeloop could not take."""
    return parse_architecture(yamlio.load(path), str(path), name)


def without_constraints(architecture: Architecture) -> Architecture:
    """The same hardware with no mapping constraints (what timeloop-model is given with a mapping)."""

    def strip(node: Node) -> Node:
        if isinstance(node, Parallel):
            return replace(node, nodes=tuple(strip(n) for n in node.nodes))
        if isinstance(node, Hierarchical):
            return replace(node, nodes=tuple(strip(n) for n in node.nodes))
        return replace(node, constraints=Constraints())

    return replace(architecture, nodes=tuple(strip(n) for n in architecture.nodes))
