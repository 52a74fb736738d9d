"""Functions of whole arrays: reductions, products, convolutions, indexing and rearranging."""

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import torch
import torch.nn.functional as F
from jax import lax

from measure import Case, Peers

inf, nan = np.inf, np.nan


def grid(*shape, seed: int = 0) -> np.ndarray:
    """Float32 numbers in (-2, 2), all different within an array of up to 40."""
    size = int(np.prod(shape))
    numbers = [((17 * i + 11 * seed) % 41 - 20) / 10.25 for i in range(size)]
    return np.array(numbers, dtype=np.float32).astype(np.float64).reshape(shape)


def axes_of(x, axis) -> tuple:
    """The axes meant, none negative: None are all."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return tuple(a % x.ndim for a in axes)


def torch_over(one_axis):
    """A reduction of any number of axes from that of the last one."""

    def reduce(x, axis=None, keepDims=False, **options):
        axes = axes_of(x, axis)
        kept = [i for i in range(x.ndim) if i not in axes]
        flat = x.permute(*kept, *axes).reshape(
            [x.shape[i] for i in kept] + [int(np.prod([x.shape[i] for i in axes]))]
        )
        found = one_axis(flat, **options)
        return found.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepDims else found

    return reduce


def jax_over(reduce):
    return lambda x, axis=None, keepDims=False, **options: reduce(
        x, axis=axes_of(x, axis), keepdims=keepDims, **options
    )


reductions = {
    "sum": Peers(jax_over(jnp.sum), torch_over(lambda x: x.sum(-1))),
    "prod": Peers(jax_over(jnp.prod), torch_over(lambda x: x.prod(-1))),
    "max": Peers(jax_over(jnp.max), torch_over(lambda x: x.amax(-1))),
    "min": Peers(jax_over(jnp.min), torch_over(lambda x: x.amin(-1))),
    "logSumExp": Peers(jax_over(jsp.logsumexp), torch_over(lambda x: x.logsumexp(-1))),
    "mean": Peers(jax_over(jnp.mean), torch_over(lambda x: x.mean(-1))),
    "variance": Peers(
        lambda x, axis=None, keepDims=False, correction=0: jnp.var(
            x, axis=axes_of(x, axis), keepdims=keepDims, ddof=correction
        ),
        torch_over(lambda x, correction=0: x.var(-1, correction=correction)),
    ),
    "norm": Peers(
        lambda x, axis=None, keepDims=False: jnp.sqrt(
            jnp.sum(x * x, axis=axes_of(x, axis), keepdims=keepDims)
        ),
        torch_over(lambda x: torch.linalg.vector_norm(x, dim=-1)),
    ),
}

special_rows = {
    "infinities": [[inf, 1.0, 2.0], [-inf, 1.0, 2.0], [inf, -inf, 0.5], [inf, inf, 1.0], [-inf, -inf, 1.0]],
    "NaN": [[nan, 1.0, 2.0], [0.5, nan, nan]],
    "zeros": [[0.0, 2.0, 3.0], [0.0, -0.0, 3.0], [0.0, 0.0, 0.0]],
    "ties": [[2.0, 2.0, 1.0], [2.0, 2.0, 2.0], [1.0, 0.5, 0.5]],
    "large": [[1000.0, 999.5, 1000.5], [-1000.0, -1001.0, -999.0], [700.0, 0.0, -700.0], [1e5, -1e5, 2.0]],
    "nothing there": [[-inf, -inf, -inf], [inf, inf, inf]],
}


def reduction_cases():
    for name, peers in reductions.items():
        x = grid(2, 3, 4)
        layouts = {
            "one axis": (x, {"axis": 1}),
            "two axes": (x, {"axis": [0, 2]}),
            "all": (x, {}),
            "kept": (x, {"axis": -1, "keepDims": True}),
            "one element": (grid(3, 1), {"axis": 1}),
        }
        if name not in ("max", "min", "mean", "variance", "logSumExp"):
            layouts["nothing"] = (grid(2, 0), {"axis": 1})
        for label, (array, params) in layouts.items():
            yield Case(name, [array], params, name=label), peers
        for label, rows in special_rows.items():
            yield Case(name, [np.array(rows)], {"axis": 1}, name=label), peers
    yield Case("variance", [grid(3, 4)], {"axis": 1, "correction": 1}, name="corrected"), reductions[
        "variance"
    ]

    cumulative = {
        "cumsum": Peers(
            lambda x, axis, reverse=False: lax.cumsum(x, axis, reverse),
            lambda x, axis, reverse=False: (
                x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis)
            ),
        ),
        "cumprod": Peers(lambda x, axis: jnp.cumprod(x, axis), lambda x, axis: x.cumprod(axis)),
    }
    for name, peers in cumulative.items():
        yield Case(name, [grid(5)], {"axis": 0}), peers
        yield Case(name, [grid(2, 4, 3)], {"axis": 1}, name="inner axis"), peers
        yield Case(name, [np.array(special_rows["zeros"])], {"axis": 1}, name="zeros"), peers
        yield Case(name, [grid(0, 2)], {"axis": 0}, name="nothing"), peers
    yield Case("cumsum", [grid(3, 4)], {"axis": 1, "reverse": True}, name="reverse"), cumulative["cumsum"]
    yield Case("cumsum", [np.array(special_rows["infinities"])], {"axis": 1}, name="infinities"), cumulative[
        "cumsum"
    ]

    normal_forms = {
        "softmax": Peers(lambda x, axis: jax.nn.softmax(x, axis), lambda x, axis: x.softmax(axis)),
        "logSoftmax": Peers(lambda x, axis: jax.nn.log_softmax(x, axis), lambda x, axis: x.log_softmax(axis)),
    }
    for name, peers in normal_forms.items():
        yield Case(name, [grid(3, 4)], {"axis": -1}), peers
        yield Case(name, [grid(3, 4, seed=1)], {"axis": 0}, name="first axis"), peers
        for label in ("large", "infinities", "NaN", "nothing there"):
            yield Case(name, [np.array(special_rows[label])], {"axis": 1}, name=label), peers

    for name, by_jax, by_torch in (
        ("argmax", jnp.argmax, torch.argmax),
        ("argmin", jnp.argmin, torch.argmin),
    ):
        peers = Peers(
            lambda x, axis=None, f=by_jax: f(x, axis), lambda x, axis=None, f=by_torch: f(x, dim=axis)
        )
        yield Case(name, [grid(3, 4)], {"axis": 1}), peers
        yield Case(name, [grid(3, 4)], {"axis": 0}, name="first axis"), peers
        yield Case(name, [grid(3, 4)], name="all"), peers
        for label in ("ties", "NaN", "infinities"):
            yield Case(name, [np.array(special_rows[label])], {"axis": 1}, name=label), peers


def dot_general_torch(x, y, contractX, contractY, batchX, batchY):
    """By einsum, with a letter for each axis."""
    letters = iter("abcdefghijklmnop")
    xs, ys = [next(letters) for _ in range(x.ndim)], [next(letters) for _ in range(y.ndim)]
    for i, j in list(zip(contractX, contractY)) + list(zip(batchX, batchY)):
        ys[j] = xs[i]
    free = lambda labels, used: [n for i, n in enumerate(labels) if i not in used]
    out = [xs[i] for i in batchX] + free(xs, contractX + batchX) + free(ys, contractY + batchY)
    return torch.einsum(f"{''.join(xs)},{''.join(ys)}->{''.join(out)}", x, y)


def contraction_cases():
    dot_general = Peers(
        lambda x, y, contractX, contractY, batchX, batchY: lax.dot_general(
            x, y, ((contractX, contractY), (batchX, batchY))
        ),
        dot_general_torch,
    )
    layouts = [
        ("plain", (2, 3), (3, 4), [1], [0], [], []),
        ("both transposed", (3, 2), (4, 3), [0], [1], [], []),
        ("batch", (2, 3, 2), (2, 2, 3), [2], [1], [0], [0]),
        ("two contracted, one batch", (2, 3, 2, 2), (2, 3, 3, 2), [1, 3], [2, 0], [2], [3]),
        ("outer", (3,), (2,), [], [], [], []),
        ("inner", (4,), (4,), [0], [0], [], []),
        ("no terms", (2, 0), (0, 3), [1], [0], [], []),
    ]
    for label, x, y, *axes in layouts:
        params = dict(zip(("contractX", "contractY", "batchX", "batchY"), axes))
        yield Case("dotGeneral", [grid(*x), grid(*y, seed=1)], params, name=label), dot_general

    matmul = Peers(jnp.matmul, torch.matmul)
    for label, x, y in [
        ("matrices", (3, 4), (4, 2)),
        ("vectors", (4,), (4,)),
        ("matrix, vector", (3, 4), (4,)),
        ("vector, matrix", (4,), (4, 3)),
        ("batches", (2, 2, 3), (2, 3, 2)),
        ("batches that broadcast", (2, 1, 2, 3), (3, 3, 2)),
        ("wide", (1, 37), (37, 1)),
    ]:
        yield Case("matmul", [grid(*x), grid(*y, seed=2)], name=label), matmul
    infinite = np.array([[1.0, inf], [0.0, -2.0]])
    yield Case("matmul", [infinite, np.array([[0.5, -1.0], [0.0, 2.0]])], name="infinities"), matmul
    dot = Peers(jnp.dot, lambda x, y: torch.tensordot(x, y, ([x.ndim - 1], [max(0, y.ndim - 2)])))
    yield Case("dot", [grid(5), grid(5, seed=1)]), dot
    yield Case("dot", [grid(2, 3), grid(2, 3, 2, seed=1)], name="higher ranks"), dot
    yield Case("outer", [grid(3), grid(2, seed=1)]), Peers(jnp.outer, torch.outer)
    yield Case("trace", [grid(3, 3)]), Peers(jnp.trace, torch.trace)
    yield Case("trace", [grid(2, 3, 3)], name="batch"), Peers(
        lambda x: jnp.trace(x, axis1=-2, axis2=-1), lambda x: x.diagonal(dim1=-2, dim2=-1).sum(-1)
    )
    einsum = Peers(
        lambda *xs, subscripts: jnp.einsum(subscripts, *xs),
        lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    )
    for subscripts, *shapes in [
        ("ij,jk->ik", (2, 3), (3, 2)),
        ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
        ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
        ("ii->i", (3, 3)),
        ("ii", (3, 3)),
        ("ij->ji", (2, 3)),
        ("i,j", (2,), (3,)),
        ("iij,jk->k", (2, 2, 3), (3, 2)),
        ("ijk->j", (2, 3, 2)),
    ]:
        inputs = [grid(*shape, seed=i) for i, shape in enumerate(shapes)]
        yield Case("einsum", inputs, {"subscripts": subscripts}, name=subscripts), einsum


def explicit(padding, sizes, window, strides, dilation):
    """Padding as [before, after] of rows and columns."""
    if padding == "valid":
        return [[0, 0], [0, 0]]
    if padding != "same":
        return padding
    pads = []
    for n, k, s, d in zip(sizes, window, strides, dilation):
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        pads.append([total // 2, total - total // 2])
    return pads


def padded_torch(x, padding, value=0.0):
    """Images [N, H, W, C] as [N, C, H, W], padded."""
    (top, bottom), (left, right) = padding
    return F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=value)


def conv_jax(x, w, strides=(1, 1), padding="valid", dilation=(1, 1)):
    pads = explicit(padding, x.shape[1:3], w.shape[:2], strides, dilation)
    return lax.conv_general_dilated(
        x, w, strides, pads, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_torch(x, w, strides=(1, 1), padding="valid", dilation=(1, 1)):
    pads = explicit(padding, x.shape[1:3], w.shape[:2], strides, dilation)
    found = F.conv2d(
        padded_torch(x, pads), w.permute(3, 2, 0, 1), stride=tuple(strides), dilation=tuple(dilation)
    )
    return found.permute(0, 2, 3, 1)


def transposed_jax(f, argument, size):
    """The transpose of a function that is linear in an argument of that size."""
    return jax.vjp(f, jnp.zeros(size))[1](argument)[0]


def transposed_torch(f, argument, size):
    return torch.func.vjp(f, torch.zeros(size))[1](argument)[0]


def patches_jax(x, window, strides, padding, dilation):
    n, _, _, c = x.shape
    found = lax.conv_general_dilated_patches(
        x, window, strides, padding, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    oh, ow = found.shape[1:3]
    return found.reshape(n, oh, ow, c, window[0] * window[1]).swapaxes(3, 4)


def patches_torch(x, window, strides, padding, dilation):
    n, _, _, c = x.shape
    padded = padded_torch(x, padding)
    found = F.unfold(padded, tuple(window), dilation=tuple(dilation), stride=tuple(strides))
    oh, ow = [(padded.shape[i + 2] - (window[i] - 1) * dilation[i] - 1) // strides[i] + 1 for i in (0, 1)]
    return found.reshape(n, c, window[0] * window[1], oh, ow).permute(0, 3, 4, 2, 1)


def pool_jax(x, start, combine, window, strides, padding="valid", dilation=(1, 1)):
    pads = explicit(padding, x.shape[1:3], window, strides, dilation)
    wide = lambda pair: (1, *pair, 1)
    return lax.reduce_window(
        x,
        start,
        combine,
        wide(window),
        wide(strides),
        [[0, 0], *pads, [0, 0]],
        window_dilation=wide(dilation),
    )


def max_pool_torch(x, window, strides, padding="valid", dilation=(1, 1)):
    pads = explicit(padding, x.shape[1:3], window, strides, dilation)
    found = F.max_pool2d(padded_torch(x, pads, -inf), tuple(window), tuple(strides), dilation=tuple(dilation))
    return found.permute(0, 2, 3, 1)


def avg_pool_jax(x, **options):
    total = lambda y: pool_jax(y, 0.0, lax.add, **options)
    return total(x) / total(jnp.ones_like(x))


def avg_pool_torch(x, window, strides, padding="valid"):
    pads = explicit(padding, x.shape[1:3], window, strides, (1, 1))
    total = (
        lambda y: F.avg_pool2d(padded_torch(y, pads), tuple(window), tuple(strides)) * window[0] * window[1]
    )
    return (total(x) / total(torch.ones_like(x))).permute(0, 2, 3, 1)


def image_cases():
    conv = Peers(conv_jax, conv_torch)
    x, w = grid(2, 5, 4, 2), grid(3, 2, 2, 3, seed=3)
    layouts = {
        "valid": {},
        "strides": {"strides": [2, 1]},
        "same": {"padding": "same", "strides": [2, 2]},
        "uneven padding": {"padding": [[1, 0], [0, 2]]},
        "dilation": {"dilation": [2, 2], "padding": [[1, 1], [0, 1]]},
        "everything": {"strides": [2, 3], "dilation": [1, 2], "padding": [[2, 1], [1, 0]]},
    }
    for label, params in layouts.items():
        yield Case("conv2d", [x, w], params, name=label), conv
    yield Case("conv2d", [grid(0, 5, 4, 2), w], name="no images"), conv
    yield Case("conv2d", [grid(1, 3, 3, 1), grid(1, 1, 1, 2, seed=1)], name="pointwise"), conv

    window = {"strides": [2, 1], "dilation": [1, 2], "padding": [[1, 0], [0, 1]]}
    output = conv_jax(x, w, **window).shape
    plain = lambda size, **rest: rest
    yield Case("conv2dInputTranspose", [grid(*output), w], {**window, "size": list(x.shape)}), Peers(
        lambda ct, w, size, **rest: transposed_jax(lambda y: conv_jax(y, w, **rest), ct, size),
        lambda ct, w, size, **rest: transposed_torch(lambda y: conv_torch(y, w, **rest), ct, size),
    )
    yield Case("conv2dFilterTranspose", [x, grid(*output)], {**window, "size": list(w.shape)}), Peers(
        lambda x, ct, size, **rest: transposed_jax(lambda v: conv_jax(x, v, **rest), ct, size),
        lambda x, ct, size, **rest: transposed_torch(lambda v: conv_torch(x, v, **rest), ct, size),
    )

    windows = {
        "plain": {"window": [2, 2], "strides": [1, 1], "padding": [[0, 0], [0, 0]], "dilation": [1, 1]},
        "everything": {"window": [2, 2], "strides": [2, 1], "padding": [[1, 0], [0, 1]], "dilation": [2, 1]},
    }
    image = grid(1, 4, 3, 2)
    for label, params in windows.items():
        size = list(patches_jax(image, **params).shape)
        yield Case("patches", [image], params, name=label), Peers(patches_jax, patches_torch)
        yield Case("overlapAdd", [grid(*size)], {**params, "size": list(image.shape)}, name=label), Peers(
            lambda x, size, **rest: transposed_jax(lambda y: patches_jax(y, **rest), x, size),
            lambda x, size, **rest: transposed_torch(lambda y: patches_torch(y, **rest), x, size),
        )

    max_pool = Peers(lambda x, **options: pool_jax(x, -inf, lax.max, **options), max_pool_torch)
    avg_pool = Peers(avg_pool_jax, avg_pool_torch)
    pools = {
        "apart": {"window": [2, 2], "strides": [2, 2]},
        "overlapping": {"window": [3, 2], "strides": [1, 1]},
        "same": {"window": [2, 2], "strides": [2, 2], "padding": "same"},
        "uneven padding": {"window": [3, 2], "strides": [2, 1], "padding": [[0, 2], [1, 0]]},
    }
    for label, params in pools.items():
        yield Case("maxPool2d", [grid(1, 5, 4, 2)], params, name=label), max_pool
        yield Case("avgPool2d", [grid(1, 5, 4, 2)], params, name=label), avg_pool
    ties = np.array([1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 2.0, 2.0]).reshape(1, 2, 4, 1)
    yield Case("maxPool2d", [ties], pools["apart"], name="ties"), max_pool
    negative = -np.abs(grid(1, 3, 3, 1)) - 0.5
    yield Case("maxPool2d", [negative], pools["same"], name="below the padding"), max_pool
    with_nan = np.array([nan, 1.0, 0.5, -inf, 2.0, 3.0, -inf, -inf]).reshape(1, 2, 4, 1)
    yield Case("maxPool2d", [with_nan], pools["apart"], name="not finite"), max_pool


def indexing_cases():
    take = Peers(lambda x, i, axis: jnp.take(x, i, axis), lambda x, i, axis: take_torch(x, i, axis))
    x = grid(4, 3)
    indices = lambda *numbers: np.array(numbers, dtype=np.int32)
    yield Case("take", [x, indices(2, 0, 2, 3)], {"axis": 0}), take
    yield Case(
        "take", [x, np.array([[0, 2], [1, 1]], dtype=np.int32)], {"axis": 1}, name="two axes of indices"
    ), take
    yield Case("take", [x, np.array(3, dtype=np.int32)], {"axis": 0}, name="one index"), take
    yield Case("take", [x, indices()], {"axis": 1}, name="no indices"), take
    add_at = Peers(
        lambda x, i, u, axis: x.at[(slice(None),) * axis + (i,)].add(u),
        lambda x, i, u, axis: x.index_add(axis, i, u),
    )
    yield Case("scatterAdd", [x, indices(2, 0, 2), grid(3, 3, seed=1)], {"axis": 0}), add_at
    yield Case("scatterAdd", [x, indices(1, 1), grid(4, 2, seed=1)], {"axis": 1}, name="inner axis"), add_at
    yield Case("scatterAdd", [x, indices(), grid(0, 3)], {"axis": 0}, name="nothing"), add_at
    yield Case("oneHot", [indices(2, 0, 1)], {"depth": 4}), Peers(
        lambda i, depth: jax.nn.one_hot(i, depth), lambda i, depth: F.one_hot(i.long(), depth).double()
    )


def take_torch(x, i, axis):
    found = x.index_select(axis, i.reshape(-1))
    return found.reshape(*x.shape[:axis], *i.shape, *x.shape[axis + 1 :])


def slices(begin, end, strides):
    return tuple(slice(b, e, s) for b, e, s in zip(begin, end, strides))


def rearranging_cases():
    x = grid(2, 3, 4)
    reshape = Peers(lambda x, shape: x.reshape(shape), lambda x, shape: x.reshape(shape))
    yield Case("reshape", [x], {"shape": [4, 6]}), reshape
    yield Case("reshape", [x], {"shape": [-1, 2]}, name="inferred"), reshape
    yield Case("reshape", [grid(1)], {"shape": []}, name="to a scalar"), reshape
    transpose = Peers(
        lambda x, permutation: x.transpose(permutation), lambda x, permutation: x.permute(permutation)
    )
    yield Case("transpose", [x], {"permutation": [2, 0, 1]}), transpose
    broadcast = Peers(lambda x, shape: jnp.broadcast_to(x, shape), lambda x, shape: x.broadcast_to(shape))
    yield Case("broadcastTo", [grid(3, 1)], {"shape": [2, 3, 2]}), broadcast
    yield Case("broadcastTo", [grid()], {"shape": [2, 2]}, name="scalar"), broadcast
    yield Case("broadcastTo", [grid(1, 2)], {"shape": [0, 2]}, name="to nothing"), broadcast
    join = Peers(lambda *xs, axis: jnp.concatenate(xs, axis), lambda *xs, axis: torch.cat(xs, axis))
    yield Case("concatenate", [grid(2, 2), grid(1, 2), grid(3, 2)], {"axis": 0}), join
    yield Case("concatenate", [grid(2, 2), grid(2, 0), grid(2, 1)], {"axis": 1}, name="with nothing"), join
    yield Case("stack", [grid(2, 2), grid(2, 2, seed=1)], {"axis": 1}), Peers(
        lambda *xs, axis: jnp.stack(xs, axis), lambda *xs, axis: torch.stack(xs, axis)
    )
    yield Case("split", [grid(5, 2)], {"sizes": [1, 3, 1], "axis": 0}), Peers(
        lambda x, sizes, axis: jnp.split(x, np.cumsum(sizes)[:-1], axis),
        lambda x, sizes, axis: x.split(sizes, axis),
    )
    take_slice = Peers(lambda x, **corners: x[slices(**corners)], lambda x, **corners: x[slices(**corners)])
    yield Case("slice", [grid(5, 4)], {"begin": [1, 0], "end": [4, 3], "strides": [1, 1]}), take_slice
    yield Case(
        "slice", [grid(7, 4)], {"begin": [1, 1], "end": [7, 4], "strides": [3, 2]}, name="strides"
    ), take_slice
    yield Case(
        "slice", [grid(3, 4)], {"begin": [1, 2], "end": [3, 2], "strides": [1, 1]}, name="nothing"
    ), take_slice
    at = Peers(lambda x, index, axis: jnp.take(x, index, axis), lambda x, index, axis: x.select(axis, index))
    yield Case("at", [grid(3, 4)], {"index": -1, "axis": 1}), at
    pad = Peers(
        lambda x, widths, value: jnp.pad(x, widths, constant_values=value),
        lambda x, widths, value: F.pad(x, [n for pair in reversed(widths) for n in pair], value=value),
    )
    yield Case("pad", [grid(2, 3)], {"widths": [[1, 0], [2, 1]], "value": 0}), pad
    yield Case("pad", [grid(2, 3)], {"widths": [[1, 0], [2, 1]], "value": -1.5}, name="value"), pad
    yield Case("flip", [x], {"axis": [0, 2]}), Peers(
        lambda x, axis: jnp.flip(x, axis), lambda x, axis: torch.flip(x, axis)
    )
    yield Case("expandDims", [grid(2, 3)], {"axis": 1}), Peers(
        lambda x, axis: jnp.expand_dims(x, axis), lambda x, axis: x.unsqueeze(axis)
    )
    yield Case("squeeze", [grid(2, 1, 3)], {"axis": 1}), Peers(
        lambda x, axis: jnp.squeeze(x, axis), lambda x, axis: x.squeeze(axis)
    )
    yield Case("arange", [], {"start": -1, "stop": 2, "step": 0.5}), Peers(
        lambda start, stop, step: jnp.arange(start, stop, step),
        lambda start, stop, step: torch.arange(start, stop, step),
    )
    yield Case("linspace", [], {"start": -1, "stop": 2, "count": 7}), Peers(
        lambda start, stop, count: jnp.linspace(start, stop, count),
        lambda start, stop, count: torch.linspace(start, stop, count),
    )
    yield Case("eye", [], {"n": 3}), Peers(lambda n: jnp.eye(n), lambda n: torch.eye(n))
    yield Case("full", [], {"shape": [2, 2], "value": 0.25}), Peers(
        lambda shape, value: jnp.full(shape, value), lambda shape, value: torch.full(shape, value)
    )
    yield Case("zeros", [], {"shape": [2, 2]}), Peers(
        lambda shape: jnp.zeros(shape), lambda shape: torch.zeros(shape)
    )
    yield Case("ones", [], {"shape": [2, 2]}), Peers(
        lambda shape: jnp.ones(shape), lambda shape: torch.ones(shape)
    )
    yield Case("zerosLike", [grid(3)]), Peers(jnp.zeros_like, torch.zeros_like)
    yield Case("onesLike", [grid(3)]), Peers(jnp.ones_like, torch.ones_like)


def cases():
    yield from reduction_cases()
    yield from contraction_cases()
    yield from image_cases()
    yield from indexing_cases()
    yield from rearranging_cases()
