"""How the compiler passes bundles: as one pointer to their members, see bundle.py."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic
from numba.core.pythonapi import NativeValue, unbox
from numba.core.typing.templates import AttributeTemplate
from numba.core.typing.typeof import typeof_impl
from numba.extending import infer_getattr, register_model

from tqhw.engine.bundle import UNREGISTERED

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)


def register_bundles() -> None:
    """Tells the compiler of all classes that were marked."""
    while UNREGISTERED:
        typeof_impl.register(UNREGISTERED.pop())(_typeof_bundle)


class Bundle(types.Type):
    """The compiler's type of a bundle."""

    def __init__(self, cls: Any, members: tuple[Any, ...]) -> None:
        self.cls, self.members = cls, members
        self.fields = dict(zip(cls._fields, members, strict=True))
        super().__init__(cls.__name__)

    @property
    def key(self) -> Any:
        """What equal types share. The name is a short one, for it becomes part of the names of functions."""
        return self.cls, self.members


def _typeof_bundle(value: Any, _context: Any) -> Bundle:
    return Bundle(type(value), tuple(typeof(member) for member in value))


@register_model(Bundle)
class _Reference(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Bundle) -> None:
        super().__init__(manager, kind, ir.PointerType(_BYTE))


@infer_getattr
class _Attributes(AttributeTemplate):
    key = Bundle

    def generic_resolve(self, kind: Bundle, name: str) -> Any:  # type: ignore[override]
        return kind.fields.get(name)


@cache
def _offsets(context: Any, kind: Bundle) -> Sequence[int]:
    """Where every member begins, and the end, in bytes."""
    offsets = [0]
    for member in kind.members:
        size = context.get_abi_sizeof(context.get_data_type(member))
        offsets.append(offsets[-1] + (size + 7) // 8 * 8)
    return offsets


def _member(builder: Any, bundle: Any, offset: int, data_type: Any) -> Any:
    place = builder.gep(bundle, [ir.Constant(_WORD, offset)], inbounds=True, source_etype=_BYTE)
    return builder.bitcast(place, data_type.as_pointer())


@unbox(Bundle)
def _unbox_bundle(kind: Bundle, value: Any, c: Any) -> NativeValue:
    """Writes the members into the frame of the function that Python calls."""
    offsets = _offsets(c.context, kind)
    frame = cgutils.alloca_once(c.builder, ir.ArrayType(_WORD, max(1, offsets[-1] // 8)))
    reference = c.builder.bitcast(frame, ir.PointerType(_BYTE))
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    for index, member in enumerate(kind.members):
        native = c.unbox(member, c.pyapi.tuple_getitem(value, index))
        with c.builder.if_then(native.is_error, likely=False):
            c.builder.store(cgutils.true_bit, failed)
        data = c.context.data_model_manager[member].as_data(c.builder, native.value)
        c.builder.store(data, _member(c.builder, reference, offsets[index], data.type))
    return NativeValue(reference, is_error=c.builder.load(failed))


@lower_getattr_generic(Bundle)
def _get_member(context: Any, builder: Any, kind: Bundle, value: Any, name: str) -> Any:
    index = kind.cls._fields.index(name)
    member, offset = kind.members[index], _offsets(context, kind)[index]
    model = context.data_model_manager[member]
    place = _member(builder, value, offset, model.get_data_type())
    loaded = model.from_data(builder, _load(builder, place, model.get_data_type()))
    return impl_ret_borrowed(context, builder, member, loaded)


def _load(builder: Any, place: Any, data_type: Any) -> Any:
    """A load that the compiler may move and merge; of an aggregate, one per element, for only those can be marked."""
    if not isinstance(data_type, ir.Aggregate):
        loaded = builder.load(place)
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded
    aggregate = ir.Constant(data_type, ir.Undefined)
    for index in range(len(data_type)):
        element = builder.gep(place, [ir.Constant(ir.IntType(32), i) for i in (0, index)], inbounds=True)
        aggregate = builder.insert_value(aggregate, _load(builder, element, element.type.pointee), index)
    return aggregate
