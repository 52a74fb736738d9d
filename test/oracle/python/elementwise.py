"""Functions that act element by element, at ordinary and special points."""

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import mpmath as mp
import numpy as np
import torch
from jax import lax

from measure import Case, Peers

inf, nan = np.inf, np.nan

# Ordinary points are float32 numbers, so that they are the same in either dtype.
single = lambda numbers: np.array(numbers, dtype=np.float32).astype(np.float64).tolist()

signed_zeros = [0.0, -0.0]
not_finite = [inf, -inf, nan]
around_zero = single([-2.5, -1.25, -0.7, -0.1, 0.3, 0.9, 1.5, 3.0])
far = single([1e-20, -1e-8, 20.0, -40.0, 300.0, -1e5]) + [800.0, 1e-300, -1e300]
real = around_zero + signed_zeros + not_finite + far

points = {
    "real": real,
    "steps": real + [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1.0, -2.0, 0.49999999999999994, 4503599627370497.5],
    "exponent": real + single([88.0, -87.0, -17.0, 19.5]) + [709.5, -709.5, -745.0],
    "positive": single([0.05, 0.3, 0.7, 1.0, 1.25, 2.0, 4.5, 30.0, 1e5, 1e-8, -1.5, 1e-20, 1e20])
    + [1.0000000000000002, 0.9999999999999999, 1e-300, 1e300]
    + signed_zeros
    + not_finite,
    "above minus one": single([-0.999, -0.75, -0.1, 0.4, 1.0, 7.0, 1e5, 1e-8, -1e-8, 1e-20, -1.0, -2.0])
    + [1e-300, 1e300, -0.9999999999999999]
    + signed_zeros
    + not_finite,
    "angle": around_zero
    + signed_zeros
    + not_finite
    + single([1e-20, 1e-8, 10.0, -25.0, 1000.0, 1e5])
    + [1.5707963267948966, 3.141592653589793, 0.7853981633974483, 1e22, 1e-300],
    "unit": single([-0.999, -0.9, -0.6, -0.3, -0.01, 0.2, 0.45, 0.55, 0.8, 0.99])
    + [1.0, -1.0, 1.5, -2.0, 0.9999999999999999, -0.9999999999999999, 1e-300]
    + single([1e-20, 1e-8])
    + signed_zeros
    + not_finite,
    "above one": single([1.001, 1.1, 1.5, 2.0, 3.5, 10.0, 1e5, 1e10])
    + [1.0, 1.0000000000000002, 1e160, 1e300, 0.5, -2.0]
    + signed_zeros
    + not_finite,
    "gamma": single([0.05, 0.3, 0.7, 1.25, 1.5, 2.5, 4.75, 9.0, 30.0, 171.0, 1e-8, 1e5, 1e15])
    + [1.0, 2.0, 3.0, 1e-300, 1e300, -0.5, -2.0]
    + signed_zeros
    + not_finite,
    "sinc": around_zero
    + signed_zeros
    + not_finite
    + single([0.5, 0.499, -0.501, 1e-4, 1e-8, 1e-20])
    + [1.0, -2.0, 40.25, 1e5 + 0.25, 1e-300],
}

# name: points, Peers
unary = {
    "neg": ("real", Peers(jnp.negative, torch.neg, lambda x: -x)),
    "abs": ("real", Peers(jnp.abs, torch.abs, abs)),
    "sign": ("real", Peers(jnp.sign, torch.sign)),
    "floor": ("steps", Peers(jnp.floor, torch.floor)),
    "ceil": ("steps", Peers(jnp.ceil, torch.ceil)),
    "round": ("steps", Peers(jnp.round, torch.round)),
    "exp": ("exponent", Peers(jnp.exp, torch.exp, mp.exp)),
    "expm1": ("exponent", Peers(jnp.expm1, torch.expm1, mp.expm1)),
    "log": ("positive", Peers(jnp.log, torch.log, mp.log)),
    "log1p": ("above minus one", Peers(jnp.log1p, torch.log1p, mp.log1p)),
    "sech": ("exponent", Peers(lambda x: 1 / jnp.cosh(x), lambda x: 1 / torch.cosh(x), mp.sech)),
    "tanh": ("exponent", Peers(jnp.tanh, torch.tanh, mp.tanh)),
    "sigmoid": ("exponent", Peers(jax.nn.sigmoid, torch.sigmoid, lambda x: 1 / (1 + mp.exp(-x)))),
    "softplus": (
        "exponent",
        Peers(
            jax.nn.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x)), lambda x: mp.log1p(mp.exp(x))
        ),
    ),
    "relu": ("real", Peers(jax.nn.relu, torch.relu)),
    "sin": ("angle", Peers(jnp.sin, torch.sin, mp.sin)),
    "cos": ("angle", Peers(jnp.cos, torch.cos, mp.cos)),
    "tan": ("angle", Peers(jnp.tan, torch.tan, mp.tan)),
    "asin": ("unit", Peers(jnp.arcsin, torch.asin, mp.asin)),
    "acos": ("unit", Peers(jnp.arccos, torch.acos, mp.acos)),
    "atan": ("real", Peers(jnp.arctan, torch.atan, mp.atan)),
    "sinh": ("exponent", Peers(jnp.sinh, torch.sinh, mp.sinh)),
    "cosh": ("exponent", Peers(jnp.cosh, torch.cosh, mp.cosh)),
    "asinh": ("real", Peers(jnp.arcsinh, torch.asinh, mp.asinh)),
    "acosh": ("above one", Peers(jnp.arccosh, torch.acosh, mp.acosh)),
    "atanh": ("unit", Peers(jnp.arctanh, torch.atanh, mp.atanh)),
    "sqrt": ("positive", Peers(jnp.sqrt, torch.sqrt, mp.sqrt)),
    "rsqrt": ("positive", Peers(lax.rsqrt, torch.rsqrt, lambda x: 1 / mp.sqrt(x))),
    "square": ("real", Peers(jnp.square, torch.square, lambda x: x * x)),
    "reciprocal": ("real", Peers(jnp.reciprocal, torch.reciprocal, lambda x: 1 / x)),
    "erf": ("exponent", Peers(jsp.erf, torch.erf, mp.erf)),
    "lgamma": ("gamma", Peers(jsp.gammaln, torch.lgamma, mp.loggamma)),
    "digamma": ("gamma", Peers(jsp.digamma, torch.digamma, mp.digamma)),
    "sinc": ("sinc", Peers(jnp.sinc, torch.sinc, mp.sincpi)),
    "entropyTerms": ("positive", Peers(jsp.entr, torch.special.entr, lambda x: -x * mp.log(x))),
    "isFinite": ("real", Peers(jnp.isfinite, torch.isfinite)),
    "stopGradient": ("real", Peers(lax.stop_gradient, lambda x: x.detach())),
}

ordinary_pairs = (
    single([0.3, 1.7, -2.2, 0.9, 4.5, -1.5, 2.6, 0.6, 1.1, -0.4]),
    single([1.2, -0.8, 2.4, 3.1, 0.45, -2.25, 1.9, -3.5, 7.0, 0.15]),
)
special = [0.0, -0.0, 1.0, -2.0, 0.5, inf, -inf, nan]
special_pairs = [x for x in special for _ in special], [y for _ in special for y in special]
far_pairs = (
    [1e300, 1e-300, 1e-200, -1e300, 3e200, 1e-20, 1e10, 1e15],
    [1e300, 1e-300, 1e-190, 0.5, 4e200, 1e20, -1e-10, 3.0],
)

pairs = {
    "reals": [ordinary_pairs, special_pairs, far_pairs],
    "powers": [
        ordinary_pairs,
        special_pairs,
        (
            [2.0, -2.0, -2.0, -1.5, 3.0, 0.0, 0.0, 1.0, 10.0, 1e-10, 1.0000000001],
            [10.0, 2.0, 3.0, -3.0, 0.5, 2.0, 3.0, 700.0, 300.0, 20.0, 1e5],
        ),
    ],
    "remainders": [
        ordinary_pairs,
        special_pairs,
        (
            [7.0, -7.0, 7.0, -7.0, 6.0, -6.0, 1e15, 1e-20, 0.3, 1e-300],
            [3.0, 3.0, -3.0, -3.0, 3.0, 3.0, 7.0, -3.0, 0.1, -1e300],
        ),
    ],
    "small": [ordinary_pairs, special_pairs],
}


def pair_points(kind: str):
    parts = pairs[kind]
    return [np.array([n for part in parts for n in part[side]]) for side in (0, 1)]


binary = {
    "add": ("reals", Peers(jnp.add, torch.add, lambda x, y: x + y)),
    "sub": ("reals", Peers(jnp.subtract, torch.sub, lambda x, y: x - y)),
    "mul": ("reals", Peers(jnp.multiply, torch.mul, lambda x, y: x * y)),
    "div": ("reals", Peers(jnp.divide, torch.div, lambda x, y: x / y)),
    "pow": ("powers", Peers(jnp.power, torch.pow, mp.power)),
    "maximum": ("reals", Peers(jnp.maximum, torch.maximum)),
    "minimum": ("reals", Peers(jnp.minimum, torch.minimum)),
    "hypot": ("reals", Peers(jnp.hypot, torch.hypot, mp.hypot)),
    "atan2": ("reals", Peers(jnp.arctan2, torch.atan2, mp.atan2)),
    "mod": ("remainders", Peers(jnp.mod, torch.remainder, lambda x, y: x - mp.floor(x / y) * y)),
    "xlogy": ("reals", Peers(jsp.xlogy, torch.xlogy, lambda x, y: x * mp.log(y))),
    "eq": ("small", Peers(jnp.equal, torch.eq)),
    "ne": ("small", Peers(jnp.not_equal, torch.ne)),
    "lt": ("small", Peers(jnp.less, torch.lt)),
    "le": ("small", Peers(jnp.less_equal, torch.le)),
    "gt": ("small", Peers(jnp.greater, torch.gt)),
    "ge": ("small", Peers(jnp.greater_equal, torch.ge)),
}

# Shapes and z of gamma distributions, from far left to far right.
gamma_points = (
    single([0.05, 0.3, 0.3, 0.75, 1.0, 1.0, 1.5, 2.5, 2.5, 4.0, 10.0, 10.0, 60.0, 200.0]),
    single([0.001, 0.02, 1.5, 0.5, 0.1, 3.0, 1.25, 0.4, 6.0, 4.0, 5.0, 18.0, 66.0, 185.0]),
)


def gamma_density(m, alpha, z, lgamma):
    return m.exp((alpha - 1) * m.log(z) - z - lgamma(alpha))


def quantile_peers(z) -> Peers:
    """
    No peer has the inverse of the incomplete gamma function, but both have what its first derivatives are made of. So
    this is linear in the movements of p and alpha, with those derivatives.
    """

    def by_jax(p, alpha):
        by_p = 1 / gamma_density(jnp, alpha, z, jsp.gammaln)
        by_alpha = lax.random_gamma_grad(alpha, jnp.asarray(z))
        fixed = lax.stop_gradient
        return z + (p - fixed(p)) * fixed(by_p) + (alpha - fixed(alpha)) * fixed(by_alpha)

    def by_torch(p, alpha):
        at = torch.tensor(z)
        by_p = 1 / gamma_density(torch, alpha.detach(), at, torch.lgamma)
        by_alpha = torch._standard_gamma_grad(alpha.detach(), at)
        return at + (p - p.detach()) * by_p + (alpha - alpha.detach()) * by_alpha

    return Peers(by_jax, by_torch)


def cases():
    for name, (kind, peers) in unary.items():
        yield Case(name, [np.array(points[kind])]), peers
    for order in (1, 2, 3):
        peers = Peers(
            lambda x, order: jsp.polygamma(order, x),
            lambda x, order: torch.polygamma(order, x),
            lambda x, order: mp.polygamma(order, x),
        )
        yield Case("polygamma", [np.array(points["gamma"])], {"order": order}), peers
    for name, (kind, peers) in binary.items():
        yield Case(name, pair_points(kind)), peers

    logic = [np.array([False, False, True, True]), np.array([False, True, False, True])]
    yield Case("and", logic), Peers(jnp.logical_and, torch.logical_and)
    yield Case("or", logic), Peers(jnp.logical_or, torch.logical_or)
    yield Case("not", logic[1:]), Peers(jnp.logical_not, torch.logical_not)

    x, y = pair_points("small")
    condition = np.arange(len(x)) % 3 == 0
    yield Case("where", [condition, x, y]), Peers(jnp.where, torch.where)
    bounds = {"low": -1.0, "high": 1.0}
    yield Case("clamp", [np.array(real + [1.0, -1.0])], bounds), Peers(
        lambda x, low, high: jnp.clip(x, low, high), lambda x, low, high: torch.clamp(x, low, high)
    )
    # Bounds that are values: at the last two points the number is one of them.
    yield Case(
        "clampBetween", [np.array([-2.0, 0.5, 3.0, -1.0, 1.0]), np.full(5, -1.0), np.full(5, 1.0)]
    ), Peers(
        lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high),
        lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
    )

    yield Case("toFloat32", [np.array(real)]), Peers(
        lambda x: x.astype(jnp.float32).astype(jnp.float64), lambda x: x.float().double()
    )
    whole = np.array([0.0, -0.0, 0.5, -0.5, 1.75, -1.75, 3.0, -7.5, 1e6, -2e9])
    yield Case("toInt32", [whole]), Peers(lambda x: x.astype(jnp.int32), lambda x: x.to(torch.int32))
    yield Case("toBool", [np.array(around_zero + signed_zeros + not_finite)]), Peers(
        lambda x: x.astype(bool), lambda x: x.bool()
    )
    yield Case("straightThrough", [np.array([0.25, -1.75, 2.5, 0.0, 1e5 + 0.25])], name="round"), Peers(
        lambda x: x + lax.stop_gradient(jnp.round(x) - x), lambda x: x + (torch.round(x) - x).detach()
    )

    alpha, z = map(np.array, gamma_points)
    mp.mp.dps = 60
    p = np.array([float(mp.gammainc(a, 0, t, regularized=True)) for a, t in zip(alpha, z)])
    yield Case("gammaQuantile", [p, alpha], orders=1), quantile_peers(z)
    yield Case("gammaRatio", [alpha, z], {"order": 1}, orders=0), Peers(
        lambda alpha, z, order: -lax.random_gamma_grad(alpha, z),
        lambda alpha, z, order: -torch._standard_gamma_grad(alpha, z),
    )

    # Shapes that broadcast: cotangents are summed over what was repeated.
    small = lambda *shape: np.array([(5 * i) % 7 / 4 + 0.5 for i in range(int(np.prod(shape)))]).reshape(
        shape
    )
    for name in ("add", "sub", "mul", "div", "pow", "maximum", "hypot", "atan2", "xlogy"):
        peers = binary[name][1]
        plain = Peers(peers.jax, peers.torch)
        yield Case(name, [small(2, 3), small(3) + 0.125], name="row"), plain
        yield Case(name, [small(2, 1), small(1, 3) + 0.125], name="outer"), plain
        yield Case(name, [small(), small(2, 2) + 0.125], name="scalar"), plain
        yield Case(name, [small(0, 3), small(3)], name="nothing"), plain
    yield Case("where", [np.array([[True], [False]]), small(3), small(2, 1)], name="outer"), Peers(
        jnp.where, torch.where
    )
    yield Case("exp", [small()], name="scalar"), unary["exp"][1]
    yield Case("exp", [small(2, 0, 3)], name="nothing"), Peers(jnp.exp, torch.exp)
