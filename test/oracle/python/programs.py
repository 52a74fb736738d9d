"""Control flow, functions with rules of their own, solutions of equations, transformations, and random bits."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax
from jax.experimental import jet
from jax.extend.random import threefry_2x32

from measure import Case, Peers
from structured import grid


def step(m, h, x, w):
    """Of a recurrent network."""
    return m.tanh(w @ h + x)


def scan_jax(w, h, xs, reverse=False):
    body = lambda h, x: (step(jnp, h, x, w),) * 2
    return lax.scan(body, h, xs, reverse=reverse)


def scan_torch(w, h, xs, reverse=False):
    rows = list(xs.flip(0) if reverse else xs)
    found = []
    for x in rows:
        h = step(torch, h, x, w)
        found.append(h)
    return h, torch.stack(found[::-1] if reverse else found)


def heron(m, x, a):
    return 0.5 * (x + a / x)


def while_jax(a):
    return lax.while_loop(lambda x: jnp.abs(x * x - a) > 1e-9, lambda x: heron(jnp, x, a), a)


def while_torch(a):
    x = a
    while torch.abs(x * x - a) > 1e-9:
        x = heron(torch, x, a)
    return x


def fori_torch(x, steps):
    y = x
    for _ in range(steps):
        y = torch.sin(y) * x
    return y


branches = lambda m: [lambda x: m.sin(x), lambda x: x * x * x, lambda x: m.exp(-x)]


def newton_torch(a):
    """Solves x³ + x = a by more steps than it takes, so that derivatives have come to rest too."""
    x = a
    for _ in range(60):
        x = x - (x**3 + x - a) / (3 * x**2 + 1)
    return x


def root_jax(a):
    def solve(f, x):
        return lax.fori_loop(0, 60, lambda _, x: x - f(x) / (3 * x**2 + 1), x)

    return lax.custom_root(lambda x: x**3 + x - a, a, solve, lambda g, y: y / g(1.0))


def fixed_point_torch(a):
    x = torch.zeros_like(a)
    for _ in range(200):
        x = torch.cos(x * 0.5) + a
    return x


def fixed_point_jax(a):
    f = lambda x: x - jnp.cos(x * 0.5) - a
    solve = lambda f, x: lax.fori_loop(0, 200, lambda _, x: x - f(x), x)
    return lax.custom_root(f, jnp.zeros_like(a), solve, lambda g, y: y / g(1.0))


def solve_jax(m, b):
    product = lambda x: m @ x
    return lax.custom_linear_solve(
        product, b, lambda _, b: jnp.linalg.solve(m, b), lambda _, b: jnp.linalg.solve(m.T, b)
    )


def model(m):
    """A function of a vector with a scalar result, of many primitives."""
    return lambda x: m.sum(m.tanh(x[1:] * x[:-1]) * m.exp(-x[1:] ** 2)) + m.log(1 + m.sum(x * x))


def softplus_jvp(x):
    f = jax.custom_jvp(lambda x: jnp.log1p(jnp.exp(x)))
    f.defjvp(lambda primals, tangents: (f(*primals), jax.nn.sigmoid(primals[0]) * tangents[0]))
    return f(x)


def softplus_vjp(x):
    f = jax.custom_vjp(lambda x: jnp.log1p(jnp.exp(x)))
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * jax.nn.sigmoid(x),))
    return f(x)


def jet_jax(x, order):
    """The derivatives of the model along (1, 1, ...), up to the order."""
    series = [jnp.ones_like(x)] + [jnp.zeros_like(x)] * (order - 1)
    value, coefficients = jet.jet(model(jnp), (x,), (series,))
    return jnp.stack([value, *coefficients])


def derivatives_torch(x, order):
    f = model(torch)
    along = lambda t: f(x + t)
    found = [along]
    for _ in range(order):
        found.append(torch.func.jacrev(found[-1]))
    return torch.stack([g(torch.tensor(0.0)) for g in found])


def block(keys, counters):
    """Threefry's block for each key and counter, both [n, 2] of uint32: [n, 2]."""
    rows = [threefry_2x32(jnp.asarray(k), jnp.asarray(c)) for k, c in zip(keys, counters)]
    return np.array(rows, dtype=np.uint32).reshape(-1, 2)


def words_of(quarters):
    quarters = np.asarray(quarters, dtype=np.int64)
    return np.stack(
        [quarters[..., 0] << 16 | quarters[..., 1], quarters[..., 2] << 16 | quarters[..., 3]], -1
    ).astype(np.uint32)


def quarters_of(words):
    words = np.asarray(words, dtype=np.int64)
    return np.stack(
        [words[..., 0] >> 16, words[..., 0] & 0xFFFF, words[..., 1] >> 16, words[..., 1] & 0xFFFF], -1
    ).astype(np.int32)


def bits_of(key, counters):
    return block([words_of(key)] * len(counters), np.array(counters, dtype=np.uint32))


def split_jax(key, count):
    """Bit for bit as JAX splits its keys; only that a key here has four elements of 16 bits."""
    wrapped = jax.random.wrap_key_data(jnp.asarray(words_of(key)), impl="threefry2x32")
    return quarters_of(jax.random.key_data(jax.random.split(wrapped, count)))


# The top of a counter says what it is drawn for: JAX has no such thing, so its block is asked directly.
fold, draw = 0x4000_0000, 0x8000_0000


def uniform_jax(key, shape, dtype):
    bits = bits_of(key, [(draw, i) for i in range(int(np.prod(shape)))]).astype(np.uint64)
    if dtype == "float64":
        found = (bits[:, 0] >> 5 << 26 | bits[:, 1] >> 6).astype(np.float64) * 2.0**-53
    else:
        found = (bits[:, 0] >> 8).astype(np.float64) * 2.0**-24
    return found.reshape(shape)


def fold_jax(key, data):
    return quarters_of(bits_of(key, [(fold, int(data) & 0xFFFFFFFF)])[0])


def random_cases():
    words = np.random.default_rng(1).integers(0, 2**32, (20, 4), dtype=np.uint32)
    words[0], words[1] = 0, 0xFFFFFFFF
    signed = words.view(np.int32)
    yield Case("threefry2x32", [signed]), Peers(lambda _: block(words[:, :2], words[:, 2:]).view(np.int32))
    for seed in (0, 1, 123456789, 2**40 + 12345, -1):
        yield Case("randomKey", [], {"seed": seed}, name=f"seed {seed}"), Peers(
            lambda seed: quarters_of(jax.random.key_data(jax.random.key(seed, impl="threefry2x32")))
        )
    for seed in (0, 1, 123456789):
        key = np.array([0, 0, seed >> 16, seed & 0xFFFF], dtype=np.int32)
        yield Case("splitKey", [key], {"count": 5}, name=f"seed {seed}"), Peers(split_jax)
        for data in (0, 1, -1, 2**31 - 1):
            yield Case("foldIn", [key, np.array(data, dtype=np.int32)], name=f"seed {seed}, {data}"), Peers(
                fold_jax
            )
        for dtype in ("float64", "float32"):
            params = {"shape": [2, 3], "dtype": dtype}
            yield Case("uniform", [key], params, name=f"seed {seed}, {dtype}"), Peers(uniform_jax)


def cases():
    w, h, xs = grid(2, 2) * 0.5, grid(2, seed=1), grid(4, 2, seed=2)
    scan = Peers(scan_jax, scan_torch)
    yield Case("scan", [w, h, xs]), scan
    yield Case("scan", [w, h, xs], {"reverse": True}, name="reverse"), scan
    yield Case("scan", [w, h, xs[:1]], name="one row"), scan
    yield Case("scanWithCheckpoints", [w, h, xs]), scan
    yield Case("foriLoop", [grid(3)], {"steps": 4}), Peers(
        lambda x, steps: lax.fori_loop(0, steps, lambda i, y: jnp.sin(y) * x, x),
        fori_torch,
    )
    for a in (2.0, 0.5, 9.0):
        yield Case("whileLoop", [np.array(a)], name=f"root of {a:g}"), Peers(while_jax, while_torch)
    for index in (0, 1, 2):
        yield Case("switchCase", [np.array(index, dtype=np.int32), grid(3)], name=f"branch {index}"), Peers(
            lambda i, x: lax.switch(i, branches(jnp), x), lambda i, x: branches(torch)[int(i)](x)
        )
    for x in (0.75, -0.75):
        yield Case("cond", [np.array(x)], name="true" if x > 0 else "false"), Peers(
            lambda x: lax.cond(x > 0, jnp.log, lambda y: y * y, x),
            lambda x: torch.log(x) if x > 0 else x * x,
        )
    call = Peers(jax.jit(model(jnp)), model(torch))
    yield Case("jit", [grid(5)]), call
    yield Case("checkpoint", [grid(5)]), Peers(jax.checkpoint(model(jnp)), model(torch))
    x = np.array([-2.5, -0.5, 0.0, 1.5, 4.0])
    softplus = lambda x: torch.logaddexp(x, torch.zeros_like(x))
    yield Case("customJvp", [x]), Peers(softplus_jvp, softplus)
    yield Case("customVjp", [x]), Peers(softplus_vjp, softplus)
    for a in (1.5, -0.25):
        yield Case("customRoot", [np.array(a)], name=f"{a:g}"), Peers(root_jax, newton_torch)
        yield Case("fixedPoint", [np.array(a)], name=f"{a:g}"), Peers(fixed_point_jax, fixed_point_torch)
    m = grid(3, 3) + 4 * np.eye(3)
    yield Case("customLinearSolve", [m, grid(3, seed=2)]), Peers(solve_jax, torch.linalg.solve)
    small = grid(4, seed=3)
    yield Case("gradient", [small]), Peers(jax.grad(model(jnp)), torch.func.grad(model(torch)))
    yield Case("hessian", [small]), Peers(jax.hessian(model(jnp)), torch.func.hessian(model(torch)))
    vector = lambda m: lambda x: m.sin(x[:2]) * x[2:] ** 2
    yield Case("jacobian", [small]), Peers(jax.jacfwd(vector(jnp)), torch.func.jacrev(vector(torch)))
    batch = grid(3, 4, seed=5)
    yield Case("vmap", [batch]), Peers(jax.vmap(model(jnp)), torch.func.vmap(model(torch)))
    yield Case("jet", [small], {"order": 4}, orders=0), Peers(jet_jax, derivatives_torch)
    yield from random_cases()
