"""What a peer says of a function at a point: its value, JVP, VJP and a second derivative."""

import json
import math
import os
from dataclasses import dataclass, field
from typing import Callable, Optional

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import torch

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)

versions = {
    "jax": jax.__version__,
    "torch": torch.__version__.split("+")[0],
    "mpmath": mpmath.__version__,
    "numpy": np.__version__,
}


@dataclass
class Peers:
    """One function as each peer has it; None where it lacks it. Inputs are positional, parameters named."""

    jax: Optional[Callable] = None
    torch: Optional[Callable] = None
    # On numbers of arbitrary precision, for functions that act element by element.
    exact: Optional[Callable] = None


@dataclass
class Case:
    function: str
    inputs: list
    params: dict = field(default_factory=dict)
    # What is particular about it.
    name: str = ""
    # How often the peers' functions may be differentiated: less than twice where they stand for what they have not.
    orders: int = 2


def is_float(array) -> bool:
    return np.asarray(array).dtype.kind == "f"


def direction(shape, seed: int) -> np.ndarray:
    """Multiples of 1/8 between 1/4 and 2 of either sign: none is zero, and products with them lose little."""
    size = math.prod(shape)
    numbers = [((7 * i + 5 * seed) % 15 + 2) / 8 * (-1) ** ((i // 2 + seed) % 2) for i in range(size)]
    return np.array(numbers, dtype=np.float64).reshape(shape)


def as_list(outputs) -> list:
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def join(inputs, wanted, given) -> list:
    """All inputs, those of the wanted indices replaced."""
    joined = list(inputs)
    for index, value in zip(wanted, given):
        joined[index] = value
    return joined


def by_jax(f, inputs, wanted, tangents, cotangents_of, orders) -> dict:
    arrays = [jnp.asarray(x) for x in inputs]
    outputs_of = lambda *xs: as_list(f(*join(arrays, wanted, xs)))
    smooth = lambda *xs: [y for y in outputs_of(*xs) if jnp.issubdtype(y.dtype, jnp.floating)]
    xs = [arrays[i] for i in wanted]
    found = {"value": outputs_of(*xs)}
    cotangents = [jnp.asarray(c) for c in cotangents_of(found["value"])]
    if not xs or not cotangents or orders < 1:
        return found
    directions = [jnp.asarray(t) for t in tangents]
    pull = lambda *xs: list(jax.vjp(smooth, *xs)[1](cotangents))
    attempt(found, "jvp", lambda: jax.jvp(smooth, xs, directions)[1])
    attempt(found, "vjp", lambda: pull(*xs))
    if orders > 1:
        attempt(found, "second", lambda: jax.jvp(pull, xs, directions)[1])
    return found


def by_torch(f, inputs, wanted, tangents, cotangents_of, orders) -> dict:
    arrays = [torch.tensor(np.asarray(x)) for x in inputs]
    outputs_of = lambda *xs: as_list(f(*join(arrays, wanted, xs)))
    smooth = lambda *xs: tuple(y for y in outputs_of(*xs) if y.dtype.is_floating_point)
    xs = tuple(arrays[i] for i in wanted)
    found = {"value": outputs_of(*xs)}
    cotangents = tuple(torch.tensor(c) for c in cotangents_of(found["value"]))
    if not xs or not cotangents or orders < 1:
        return found
    directions = tuple(torch.tensor(t) for t in tangents)
    pull = lambda *xs: torch.func.vjp(smooth, *xs)[1](cotangents)
    along = lambda *xs: sum((g * t).sum() for g, t in zip(pull(*xs), directions))
    twice = lambda *c: torch.func.vjp(smooth, *xs)[1](c)
    # Some functions have no forward rule there; the VJP of the VJP is the JVP too.
    attempt(
        found,
        "jvp",
        lambda: torch.func.jvp(smooth, xs, directions)[1],
        lambda: torch.func.vjp(twice, *cotangents)[1](directions),
    )
    attempt(found, "vjp", lambda: pull(*xs))
    if orders > 1:
        attempt(
            found,
            "second",
            lambda: torch.func.jvp(pull, xs, directions)[1],
            lambda: torch.func.vjp(along, *xs)[1](torch.tensor(1.0)),
        )
    return found


# What was left out, as (quantity, message).
missing: list = []


def attempt(found: dict, what: str, *ways: Callable) -> None:
    """Puts in what a peer has by the first of the ways that it does not refuse; what it has by none is left out."""
    for compute in ways:
        try:
            found[what] = as_list(compute())
            return
        except Exception as error:  # whatever a peer raises for what it lacks
            message = str(error).split("\n")[0]
    missing.append((what, message))


digits = 60


def working_digits(point) -> int:
    """So many that second differences in steps of 1e-60 keep most of them, also where the function hardly changes."""
    sizes = [abs(x) for x in point if x != 0]
    smallest = mpmath.log10(min(sizes, default=mpmath.mpf(1))) if len(sizes) == len(point) else -310
    largest = mpmath.log10(max(sizes, default=mpmath.mpf(1)))
    return int(500 + 2 * max(0, -smallest) + max(0, largest))


def by_exact(f, inputs, wanted, tangents, cotangents_of, orders) -> dict:
    """Element by element in arbitrary precision; None where the function or a derivative is not finite or has a kink."""
    mpmath.mp.dps = digits
    shape = np.broadcast_shapes(*[np.shape(x) for x in inputs])
    points = [np.broadcast_to(x, shape).ravel() for x in inputs]
    flat = lambda lists: [np.broadcast_to(x, shape).ravel() for x in lists]
    [cotangent] = flat(cotangents_of([np.zeros(shape)]))
    moved = flat(tangents)
    value, jvp, vjp, second = [], [], [[] for _ in wanted], [[] for _ in wanted]
    for k, point in enumerate(zip(*points)):
        # Arbitrary precision has no infinities to differentiate at, and one zero.
        known = all(math.isfinite(x) and not (x == 0 and math.copysign(1, x) < 0) for x in point)
        exact = [mpmath.mpf(float(x)) for x in point] if known else None
        value.append(finite(lambda: f(*exact)) if known else None)
        v = [float(m[k]) for m in moved]
        first, again = derivatives(f, exact, v) if known else (None, None)
        vs = [mpmath.mpf(t) for t in v]
        jvp.append(first and rounded(mpmath.fdot(first, vs)))
        for i in range(len(wanted)):
            vjp[i].append(first and rounded(first[i] * mpmath.mpf(float(cotangent[k]))))
            second[i].append(again and rounded(again[i] * mpmath.mpf(float(cotangent[k]))))
    lists = {"value": [value], "jvp": [jvp], "vjp": vjp, "second": second}
    return {what: [np.array(x, dtype=object) for x in parts] for what, parts in lists.items()}


def finite(compute: Callable):
    try:
        found = compute()
        return rounded(found) if isinstance(found, mpmath.mpf) and mpmath.isfinite(found) else None
    except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.NoConvergence):
        return None


def rounded(x) -> float:
    return float(x)


def derivatives(f, point, v):
    """
    The gradient at a point and its derivative along v, by differences of arbitrary precision: from both sides, so that
    a kink or a singularity, where these disagree, is noticed.
    """
    try:
        mpmath.mp.dps = working_digits(point)
        sides = [difference_quotients(f, point, v, sign) for sign in (1, -1)]
        for right, left in zip(*sides):
            for a, b in zip(right, left):
                if not all(isinstance(n, mpmath.mpf) and mpmath.isfinite(n) for n in (a, b)):
                    return None, None
        close = lambda a, b: abs(a - b) <= mpmath.mpf(10) ** -25 * max(abs(a), abs(b), mpmath.mpf(10) ** -320)
        (first, second), (other, other_second) = sides
        if not all(map(close, first, other)):
            return None, None
        average = [(a + b) / 2 for a, b in zip(first, other)]
        if not all(map(close, second, other_second)):
            return average, None
        return average, [(a + b) / 2 for a, b in zip(second, other_second)]
    except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.NoConvergence):
        return None, None
    finally:
        mpmath.mp.dps = digits


def difference_quotients(f, point, v, sign):
    """Of the second order in steps that are far below the distance of two floats."""
    scale = [max(abs(x), mpmath.mpf(10) ** -310) for x in point]
    h = mpmath.mpf(10) ** -60

    def at(*steps):
        moved = list(point)
        for i, step in steps:
            moved[i] += step
        return f(*moved)

    def slope(i, base=()):
        s = sign * h * scale[i]
        return (-3 * at(*base) + 4 * at(*base, (i, s)) - at(*base, (i, 2 * s))) / (2 * s)

    first = [slope(i) for i in range(len(point))]
    t = sign * h * min(scale)
    along = lambda k: [(j, k * t * mpmath.mpf(v[j])) for j in range(len(point))]
    second = [
        (-3 * slope(i) + 4 * slope(i, along(1)) - slope(i, along(2))) / (2 * t) for i in range(len(point))
    ]
    return first, second


def record(case: Case, peers: Peers) -> dict:
    wanted = [i for i, x in enumerate(case.inputs) if is_float(x)]
    tangents = [direction(np.shape(case.inputs[i]), i) for i in wanted]
    cotangents: list = []

    def cotangents_of(outputs):
        found = [direction(tuple(y.shape), 3 + i) for i, y in enumerate(outputs) if "float" in str(y.dtype)]
        cotangents[:] = found
        return found

    entry: dict = {"function": case.function}
    if case.name:
        entry["name"] = case.name
    if case.params:
        entry["params"] = case.params
    entry["inputs"] = [input_entry(x) for x in case.inputs]
    found = {}
    for peer, measure in (("jax", by_jax), ("torch", by_torch), ("exact", by_exact)):
        f = getattr(peers, peer)
        if f is not None:
            g = (lambda f: lambda *xs: f(*xs, **case.params))(f)
            before = len(missing)
            found[peer] = measure(g, case.inputs, wanted, tangents, cotangents_of, case.orders)
            missing[before:] = [(case.function, case.name, peer, *m) for m in missing[before:]]
    entry["tangents"] = [numbers(t) for t in tangents]
    entry["cotangents"] = [numbers(c) for c in cotangents]
    for peer, parts in found.items():
        entry[peer] = {what: [numbers(a) for a in arrays] for what, arrays in parts.items()}
    return entry


def input_entry(array) -> dict:
    array = np.asarray(array)
    kinds = {"f": {}, "i": {"dtype": "int32"}, "b": {"dtype": "bool"}}
    return {**kinds[array.dtype.kind], "shape": list(array.shape), "data": numbers(array)}


def numbers(array) -> list:
    if isinstance(array, torch.Tensor):
        array = array.detach().numpy()
    return [number(x) for x in np.asarray(array).ravel().tolist()]


def number(x):
    """As JSON: what it has no numbers for is text, and whole numbers lose their point, not their sign."""
    if x is None:
        return None
    if isinstance(x, (bool, int)):
        return int(x)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    is_short = x == int(x) and abs(x) < 2**53 and not (x == 0 and math.copysign(1, x) < 0)
    return int(x) if is_short else x


def dump(value) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
