"""Points in the plane for kernels: two float64 that are loaded, reckoned with and stored at once.

Numba vectorises loops over single numbers, but not what is done to x and y alike (LLVM can, in a
pass that numba leaves out since it has miscompiled: numba #8852). A point is one vector register.
Each number comes out as it would alone.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, overload, register_model

intrinsic: Any = _intrinsic  # what it makes lacks `typing`, which type checkers cannot see
_TWO_DOUBLES = ir.VectorType(ir.DoubleType(), 2)
_TWO_FLOATS = ir.VectorType(ir.FloatType(), 2)


class Point(types.Type):
    """The type of a point in kernels."""

    def __init__(self) -> None:
        super().__init__("Point")


@register_model(Point)
class _PointModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Point) -> None:
        super().__init__(manager, kind, _TWO_DOUBLES)


_POINT = Point()


def _address(context, builder, kind, array, indices, pair):
    """Where in an array a pair of numbers is; the indices count from the start."""
    array = context.make_array(kind)(context, builder, array)
    indices = [context.cast(builder, index, of, types.intp) for index, of in indices]
    first = cgutils.get_item_pointer(context, builder, kind, array, indices, wraparound=False)
    return builder.bitcast(first, pair.as_pointer())


@intrinsic
def point(typing, points, i, k):
    """Point `k` of game `i` in `points`, (num_envs, n, 2) float64."""

    def emit(context, builder, signature, args):
        indices = [(args[1], i), (args[2], k), (ir.Constant(ir.IntType(64), 0), types.intp)]
        where = _address(context, builder, points, args[0], indices, _TWO_DOUBLES)
        return builder.load(where, align=8)

    return _POINT(points, i, k), emit


@intrinsic
def place(typing, points, i, k, value):
    """Make `value` point `k` of game `i` in `points`, (num_envs, n, 2) float64."""

    def emit(context, builder, signature, args):
        indices = [(args[1], i), (args[2], k), (ir.Constant(ir.IntType(64), 0), types.intp)]
        where = _address(context, builder, points, args[0], indices, _TWO_DOUBLES)
        builder.store(args[3], where, align=8)
        return context.get_dummy_value()

    return types.none(points, i, k, value), emit


@intrinsic
def put(typing, out, j, c, value):
    """Write a point into columns `c` and `c + 1` of row `j` of `out`, (n, columns) float32."""

    def emit(context, builder, signature, args):
        indices = [(args[1], j), (args[2], c)]
        where = _address(context, builder, out, args[0], indices, _TWO_FLOATS)
        builder.store(builder.fptrunc(args[3], _TWO_FLOATS), where, align=4)
        return context.get_dummy_value()

    return types.none(out, j, c, value), emit


@intrinsic
def kept(typing, value, wanted):
    """The point where `wanted`, (0, 0) where not."""

    def emit(context, builder, signature, args):
        wanted = context.cast(builder, args[1], signature.args[1], types.boolean)
        return builder.select(wanted, args[0], ir.Constant(_TWO_DOUBLES, [0.0, 0.0]))

    return _POINT(value, types.boolean), emit


@intrinsic
def squared(typing, value):
    """The square of a point's distance from the origin."""

    def emit(context, builder, signature, args):
        squares = builder.fmul(args[0], args[0])
        x, y = (builder.extract_element(squares, ir.IntType(32)(k)) for k in (0, 1))
        return builder.fadd(x, y)

    return types.float64(value), emit


def _pair(builder, x, y):
    made = ir.Constant(_TWO_DOUBLES, ir.Undefined)
    for k, number in enumerate((x, y)):
        made = builder.insert_element(made, number, ir.IntType(32)(k))
    return made


@intrinsic
def vector(typing, x, y):
    """The point (x, y)."""

    def emit(context, builder, signature, args):
        return _pair(builder, *args)

    return _POINT(types.float64, types.float64), emit


@intrinsic
def clamped(typing, value, limit):
    """The point with both coordinates held between `-limit` and `limit`."""

    def emit(context, builder, signature, args):
        high = _pair(builder, args[1], args[1])
        low = builder.fneg(high)
        held = builder.select(builder.fcmp_ordered("<", args[0], low), low, args[0])
        return builder.select(builder.fcmp_ordered(">", held, high), high, held)

    return _POINT(value, types.float64), emit


def _operation(which: Callable[..., Any], instruction: str, second: types.Type) -> None:
    """Teach kernels `point which second`."""

    @intrinsic
    def run(typing, a, b):
        def emit(context, builder, signature, args):
            other = args[1] if second is _POINT else _pair(builder, args[1], args[1])
            return getattr(builder, instruction)(args[0], other)

        return _POINT(a, second), emit

    @overload(which)
    def operation(a, b):
        if a is _POINT and b is second:
            return lambda a, b: run(a, b)
        return None


_operation(operator.add, "fadd", _POINT)
_operation(operator.sub, "fsub", _POINT)
_operation(operator.mul, "fmul", types.float64)
