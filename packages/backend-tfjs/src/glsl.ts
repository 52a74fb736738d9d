import { glslElementary, glslMacros } from "./glsl-elementary.ts";

/**
 * Elementary functions in GLSL, for float32 to a few ulp: tfjs's own shaders for expm1, log1p, tanh, erf ... cancel near 0.
 *
 * asin, acos and atan follow the Cephes library's single-precision routines (S. L. Moshier, 1992).
 */
const glslFunctions = `${glslElementary}
  float expm1_(float x) {
    if (abs(x) >= 0.5) return exp_(x) - 1.0;
    float s = 1.0;
    for (float k = 8.0; k >= 2.0; k -= 1.0) s = 1.0 + x / k * s;
    return x * s;
  }
  float tanh_(float x) {
    if (isnan_(x)) return x;
    float t = expm1_(-2.0 * abs(x));
    return sign(x) * (-t / (2.0 + t));
  }
  float sigmoid_(float x) {
    if (isnan_(x)) return x;
    float e = exp_(-abs(x));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
  }
  float softplus_(float x) {
    return isnan_(x) ? x : max(x, 0.0) + log1p_(exp_(-abs(x)));
  }
  float sinh_(float x) {
    if (abs(x) < 1.0) {
      float z = x * x;
      float s = 1.0;
      for (float k = 10.0; k >= 2.0; k -= 2.0) s = 1.0 + z / (k * (k + 1.0)) * s;
      return x * s;
    }
    float h = exp_(0.5 * abs(x)); // halved, since e^|x| may overflow where sinh does not
    return isnan_(x) ? x : sign(x) * (0.5 * h * h - 0.5 / h / h);
  }
  float cosh_(float x) {
    float h = exp_(0.5 * abs(x));
    return isnan_(x) ? x : 0.5 * h * h + 0.5 / h / h;
  }
  float sech_(float x) {
    float e = exp_(-abs(x));
    return isnan_(x) ? x : 2.0 * e / (1.0 + e * e);
  }
  float asinh_(float x) {
    float a = abs(x);
    if (isnan_(x) || isinf_(x)) return x;
    return sign(x) * (a < 1e9 ? log1p_(a + a * a / (1.0 + sqrt(1.0 + a * a))) : log_(a) + 0.6931471805599453);
  }
  float acosh_(float x) {
    if (isnan_(x) || x < 1.0) return NAN_;
    float d = x - 1.0;
    return x < 1e9 ? log1p_(d + sqrt(d) * sqrt(x + 1.0)) : log_(x) + 0.6931471805599453;
  }
  float asinPoly_(float x) {
    float z = x * x;
    return ((((4.2163199048e-2 * z + 2.4181311049e-2) * z + 4.5470025998e-2) * z + 7.4953002686e-2) * z
      + 1.6666752422e-1) * z * x + x;
  }
  float asin_(float x) {
    float a = abs(x);
    if (isnan_(x) || a > 1.0) return NAN_;
    return sign(x) * (a > 0.5 ? 1.5707963267948966 - 2.0 * asinPoly_(sqrt(0.5 * (1.0 - a))) : asinPoly_(a));
  }
  float acos_(float x) {
    if (isnan_(x) || abs(x) > 1.0) return NAN_;
    if (x > 0.5) return 2.0 * asinPoly_(sqrt(0.5 * (1.0 - x)));
    if (x < -0.5) return 3.141592653589793 - 2.0 * asinPoly_(sqrt(0.5 * (1.0 + x)));
    return 1.5707963267948966 - sign(x) * asinPoly_(abs(x));
  }
  float atan_(float x) {
    if (isnan_(x)) return x;
    float a = abs(x);
    float y = 0.0;
    if (a > 2.414213562373095) { y = 1.5707963267948966; a = -1.0 / a; }
    else if (a > 0.4142135623730950) { y = 0.7853981633974483; a = (a - 1.0) / (a + 1.0); }
    float z = a * a;
    y += (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * a + a;
    return sign(x) * y;
  }
  float atan2_(float y, float x) {
    if (isnan_(x) || isnan_(y)) return NAN_;
    float side = negative_(y) == 1.0 ? -1.0 : 1.0;
    float angle;
    if (y == 0.0) angle = negative_(x) == 1.0 ? 3.141592653589793 : 0.0;
    else if (x == 0.0) angle = 1.5707963267948966;
    else if (isinf_(x) && isinf_(y)) angle = x > 0.0 ? 0.7853981633974483 : 2.356194490192345;
    else {
      angle = atan_(abs(y) / abs(x));
      if (x < 0.0) angle = 3.141592653589793 - angle;
    }
    return side * angle;
  }
  // erf: its Taylor series below 1; beyond, 1 - erfc with the Chebyshev fit of Press et al., Numerical Recipes, 6.2.
  float erf_(float x) {
    if (isnan_(x)) return x;
    float a = abs(x);
    if (a < 1.0) {
      float term = x;
      float sum = x;
      for (float n = 1.0; n <= 11.0; n += 1.0) {
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
      }
      return 1.1283791670955126 * sum;
    }
    float t = 1.0 / (1.0 + 0.5 * a);
    float p = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
      + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    return sign(x) * (1.0 - (a > 9.0 ? 0.0 : t * exp_(p - a * a)));
  }
  float hypot_(float x, float y) {
    if (isinf_(x) || isinf_(y)) return INF_;
    if (isnan_(x) || isnan_(y)) return NAN_;
    float big = max(abs(x), abs(y));
    float r = min(abs(x), abs(y)) / big;
    return big == 0.0 ? 0.0 : big * sqrt(1.0 + r * r);
  }
  float strongMul_(float x, float y) {
    return (x == 0.0 || y == 0.0) ? 0.0 : x * y;
  }
  // A whole number that no other was rounded to, or else NaN.
  float whole_(float x) { return abs(x) < 16777216.0 ? x : NAN_; }
  float max_(float x, float y) { return isnan_(x) ? x : isnan_(y) ? y : max(x, y); }
  float min_(float x, float y) { return isnan_(x) ? x : isnan_(y) ? y : min(x, y); }
  // Long division on the bits, one step for each bit of the quotient at most: no step rounds.
  float mod_(float x, float y) {
    if (isnan_(x) || isnan_(y) || isinf_(x) || y == 0.0) return NAN_;
    float r = abs(x);
    float divisor = abs(y);
    while (r >= divisor && !isinf_(divisor)) {
      uint shift = (floatBitsToUint(r) >> 23) - (floatBitsToUint(divisor) >> 23);
      float part = uintBitsToFloat(floatBitsToUint(divisor) + (shift << 23));
      if (part > r) part *= 0.5;
      r -= part;
    }
    if (x < 0.0) r = -r;
    return r != 0.0 && (r < 0.0) != (y < 0.0) ? r + y : r;
  }
  float round_(float x) {
    float low = floor(x);
    float rest = x - low;
    return rest < 0.5 || (rest == 0.5 && mod(low, 2.0) == 0.0) || isnan_(rest) ? low : low + 1.0; // halves to even
  }
`;

/** The definitions above, by their names. */
const definitions = new Map<string, string>();
for (const definition of glslFunctions.split(/\n(?=  (?:float|bool|uint|const uint|\/\/) )/)) {
  const name = /^ +(?:float|bool|uint|const uint) (\w+_)\b/.exec(definition)?.[1];
  if (name !== undefined) definitions.set(name, definition);
}

/** The functions that a piece of GLSL calls, and those that they call: shaders compile in proportion to their length. */
export function glslFunctionsFor(code: string): string {
  const needed = new Set<string>();
  const visit = (text: string): void => {
    for (const [name] of text.matchAll(/\b\w+_\b/g)) {
      const definition = definitions.get(name);
      if (definition === undefined || needed.has(name)) continue;
      needed.add(name);
      visit(definition);
    }
  };
  visit(code);
  const inOrder = [...definitions].filter(([name]) => needed.has(name)).map(([, definition]) => definition);
  return [glslMacros, ...inOrder].join("\n");
}

/** The GLSL expression of each elementwise primitive, in its inputs a, b and c. */
export const glslExpressions: Readonly<Record<string, string>> = {
  neg: "-a",
  abs: "abs(a)",
  sign: "isnan_(a) ? a : sign(a)",
  floor: "floor(a)",
  ceil: "ceil(a)",
  round: "round_(a)",
  exp: "exp_(a)",
  expm1: "isnan_(a) ? a : expm1_(a)",
  log: "log_(a)",
  log1p: "log1p_(a)",
  tanh: "tanh_(a)",
  sigmoid: "sigmoid_(a)",
  softplus: "softplus_(a)",
  relu: "isnan_(a) ? a : max(a, 0.0)",
  sin: "sin_(a)",
  cos: "cos_(a)",
  tan: "tan_(a)",
  asin: "asin_(a)",
  acos: "acos_(a)",
  atan: "atan_(a)",
  sinh: "sinh_(a)",
  cosh: "cosh_(a)",
  sech: "sech_(a)",
  asinh: "asinh_(a)",
  acosh: "acosh_(a)",
  atanh: "atanh_(a)",
  sqrt: "a < 0.0 || isnan_(a) ? NAN_ : sqrt(a)",
  rsqrt: "a < 0.0 || isnan_(a) ? NAN_ : a == 0.0 ? INF_ : 1.0 / sqrt(a)",
  square: "a * a",
  reciprocal: "1.0 / a",
  erf: "erf_(a)",
  not: "1.0 - a",
  isFinite: "isnan_(a) || isinf_(a) ? 0.0 : 1.0",
  stopGradient: "a",
  straightThrough: "a",
  broadcastTo: "a",

  add: "a + b",
  sub: "a - b",
  mul: "a * b",
  strongMul: "strongMul_(a, b)",
  div: "a / b",
  pow: "pow_(a, b)",
  max: "max_(a, b)",
  min: "min_(a, b)",
  hypot: "hypot_(a, b)",
  atan2: "atan2_(a, b)",
  mod: "mod_(a, b)",
  xlogy: "a == 0.0 && !isnan_(b) ? 0.0 : a * log_(b)",

  eq: "float(a == b)",
  ne: "float(a != b || isnan_(a) || isnan_(b))",
  lt: "float(a < b)",
  le: "float(a <= b)",
  gt: "float(a > b)",
  ge: "float(a >= b)",
  and: "a * b",
  or: "max_(a, b)",

  where: "isnan_(a) ? a : a != 0.0 ? b : c",
};

const compared = (test: string): string => `isnan_(a) || isnan_(b) ? NAN_ : float(${test})`;

/** The same for int32, where it differs: what is out of range becomes NaN, and so does what depends on it. */
export const glslIntegerExpressions: Readonly<Record<string, string>> = {
  neg: "0.0 - a",
  square: "whole_(a * a)",
  add: "whole_(a + b)",
  sub: "whole_(a - b)",
  mul: "whole_(a * b)",
  eq: compared("a == b"),
  ne: compared("a != b"),
  lt: compared("a < b"),
  le: compared("a <= b"),
  gt: compared("a > b"),
  ge: compared("a >= b"),
};
