"""The polynomials of src/math: minimax fits by Remez's exchange in mpmath. python coefficients.py [NAME...]

A job states a function, an interval and a weight: the polynomial P of the given number of coefficients makes the largest
weight * |function - P| least.
"""
import sys
import mpmath as mp

mp.mp.prec = 260


def remez(f, w, a, b, n, fixed):
    """The n coefficients, of which those in `fixed` are given, and the largest weighted error."""
    free = [i for i in range(n) if i not in fixed]
    g = lambda x: f(x) - sum(c * x**i for i, c in fixed.items())
    m = len(free)
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mp.mpf("0.53")) / (m + 1)) for i in range(m + 1)]
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mp.mpf("0.51")) / (24 * m)) for i in range(24 * m)]
    values = [(x, g(x), w(x)) for x in grid]
    for _ in range(12):
        rows = []
        for i, x in enumerate(points):
            rows.append([x**j for j in free] + [(-1) ** i / w(x)])
        solved = mp.lu_solve(mp.matrix(rows), mp.matrix([g(x) for x in points]))
        c = {j: solved[i] for i, j in enumerate(free)}
        error = [(x, wx * (gx - sum(cj * x**j for j, cj in c.items()))) for x, gx, wx in values]
        # One extremum between each two changes of sign.
        found = []
        for x, e in error:
            if found and (e > 0) == (found[-1][1] > 0):
                if abs(e) > abs(found[-1][1]):
                    found[-1] = (x, e)
            else:
                found.append((x, e))
        while len(found) > m + 1:
            found.pop(0 if abs(found[0][1]) < abs(found[-1][1]) else -1)
        if len(found) < m + 1:
            break
        points = [x for x, _ in found]
        sizes = [abs(e) for _, e in found]
        if max(sizes) - min(sizes) < max(sizes) * mp.mpf(2) ** -8:
            break
    return c, max(abs(e) for _, e in error)


def fit(name, f, w, a, b, n, single=False):
    """Prints the coefficients, rounded, and the largest weighted error that the rounded ones make."""
    a, b = mp.mpf(a), mp.mpf(b)
    c, first = remez(f, w, a, b, n, {})
    with mp.workprec(24 if single else 53):
        c = {i: +c[i] for i in c}
    last = max(abs(w(x) * (f(x) - sum(c[i] * x**i for i in c))) for x in [a + (b - a) * i / 400 for i in range(401)])
    print(f"  // error 2^{float(mp.log(last, 2)):.1f} (2^{float(mp.log(first, 2)):.1f} before rounding)")
    print(f"  {name}: [{', '.join(repr(float(c[i])) for i in range(n))}],", flush=True)


def series(first, term):
    def f(x):
        total, k, t = mp.mpf(0), 0, term(0, x)
        while k < 3 or abs(t) > abs(total) * mp.mpf(2) ** -200:
            total += t
            k += 1
            t = term(k, x)
            if k > 400:
                break
        return total
    return f


def guarded(f, limit):
    """Near 0, where closed forms cancel, the value at a small distance."""
    tiny = mp.mpf(2) ** -60
    return lambda x: f(x) if abs(x) > tiny else limit


e1 = guarded(lambda r: (mp.expm1(r) - r) / r**2, mp.mpf(1) / 2)
we1 = guarded(lambda r: abs(r**2 / mp.expm1(r)), mp.mpf(0))
q = series(0, lambda k, z: 2 * z**k / (2 * k + 3))
zs = mp.mpf("0.029438")  # (3 - 2 sqrt 2)^2
sn = guarded(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 6)
wsn = guarded(lambda z: z * mp.sqrt(z) / mp.sin(mp.sqrt(z)), mp.mpf(0))
cs = guarded(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24)
wcs = guarded(lambda z: z**2 / mp.cos(mp.sqrt(z)), mp.mpf(0))
zt = (mp.pi / 4) ** 2 * mp.mpf("1.0001")
az = guarded(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 6)
waz = guarded(lambda z: z * mp.sqrt(z) / mp.asin(mp.sqrt(z)), mp.mpf(0))
tz = guarded(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 3)
wtz = guarded(lambda z: z * mp.sqrt(z) / mp.atan(mp.sqrt(z)), mp.mpf(0))
z8 = (mp.sqrt(2) - 1) ** 2 * mp.mpf("1.0001")
th = guarded(lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 3)
wth = guarded(lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)), mp.mpf(0))

ln = mp.log(2) / 2 * mp.mpf("1.0005")
jobs = {
    "exp": lambda: (fit("expDouble", e1, we1, -ln, ln, 10), fit("expSingle", e1, we1, -ln, ln, 5, True)),
    "log": lambda: (fit("logDouble", q, lambda z: z, 0, zs, 7), fit("logSingle", q, lambda z: z, 0, zs, 3, True)),
    "sin": lambda: (fit("sinDouble", sn, wsn, 0, zt, 6), fit("sinSingle", sn, wsn, 0, zt, 3, True)),
    "cos": lambda: (fit("cosDouble", cs, wcs, 0, zt, 6), fit("cosSingle", cs, wcs, 0, zt, 3, True)),
    "tanh": lambda: fit("tanhSingle", th, wth, 0, "0.3907", 5, True),
    "asin": lambda: fit("asinDouble", az, waz, 0, "0.25", 12),
    "atan": lambda: fit("atanDouble", tz, wtz, 0, z8, 11),
}
for name in sys.argv[1:] or jobs:
    jobs[name]()
