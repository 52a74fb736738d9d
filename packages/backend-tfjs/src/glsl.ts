/**
 * Elementary functions in GLSL, for float32 to a few ulp. The ones built into WebGL promise little (sin, exp and pow of a
 * conforming device may be off by hundreds of ulp), and tfjs's shaders for expm1, log1p, tanh, erf ... cancel near 0.
 *
 * exp, sin, cos, tan, asin and atan follow the Cephes library's single-precision routines (S. L. Moshier, 1992).
 */
export const glslFunctions = `
  #define INF_ uintBitsToFloat(0x7f800000u)
  #define NAN_ uintBitsToFloat(0x7fc00000u)
  // By their bits: a compiler may assume that there are no NaNs and fold the built-in tests away.
  bool isnan_(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
  bool isinf_(float x) { return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u; }
  float power2_(float k) { return uintBitsToFloat(uint(k + 127.0) << 23); }
  float exp_(float x) {
    if (isnan_(x)) return x;
    if (x > 88.7228394) return INF_;
    if (x < -103.98) return 0.0;
    float k = floor(x * 1.4426950408889634 + 0.5);
    float r = (x - k * 0.693359375) + k * 2.12194440e-4;
    float p = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r
      + 1.6666665459e-1) * r + 5.0000001201e-1;
    float half_ = floor(0.5 * k); // in two steps, since 2^k may lie beyond what one float holds
    return (p * r * r + r + 1.0) * power2_(half_) * power2_(k - half_);
  }
  float expm1_(float x) {
    if (abs(x) >= 0.5) return exp_(x) - 1.0;
    float s = 1.0;
    for (float k = 8.0; k >= 2.0; k -= 1.0) s = 1.0 + x / k * s;
    return x * s;
  }
  float log1p_(float x) {
    if (abs(x) >= 0.5 || isnan_(x)) return log(1.0 + x);
    float s = x / (2.0 + x); // log(1 + x) = 2 atanh(s)
    float z = s * s;
    float t = 0.0;
    for (float k = 15.0; k >= 3.0; k -= 2.0) t = (t + 1.0 / k) * z;
    return 2.0 * (s + s * t);
  }
  float log_(float x) {
    return x > 0.5 && x < 1.5 ? log1p_(x - 1.0) : log(x);
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
  float asinh_(float x) {
    float a = abs(x);
    if (isnan_(x) || isinf_(x)) return x;
    return sign(x) * (a < 1e9 ? log1p_(a + a * a / (1.0 + sqrt(1.0 + a * a))) : log(a) + 0.6931471805599453);
  }
  float acosh_(float x) {
    if (isnan_(x) || x < 1.0) return NAN_;
    float d = x - 1.0;
    return x < 1e9 ? log1p_(d + sqrt(d) * sqrt(x + 1.0)) : log(x) + 0.6931471805599453;
  }
  float atanh_(float x) {
    float a = abs(x);
    if (isnan_(x) || a > 1.0) return NAN_;
    if (a == 1.0) return sign(x) * INF_;
    return sign(x) * 0.5 * log1p_(2.0 * a / (1.0 - a));
  }
  // x - q π/2 for the nearest whole q, in three steps that lose nothing up to |x| of about 8000.
  float reduced_(float x, float q) {
    return ((x - q * 1.5703125) - q * 4.837512969970703125e-4) - q * 7.54978995489188216e-8;
  }
  float sinPoly_(float x) {
    float z = x * x;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * x + x;
  }
  float cosPoly_(float x) {
    float z = x * x;
    return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  }
  float sinOfQuadrant_(float x, float shift) {
    if (isnan_(x) || isinf_(x)) return NAN_;
    float q = floor(x * 0.6366197723675814 + 0.5);
    float r = reduced_(x, q);
    float quadrant = mod(q + shift, 4.0);
    float s = mod(quadrant, 2.0) == 0.0 ? sinPoly_(r) : cosPoly_(r);
    return quadrant < 2.0 ? s : -s;
  }
  float sin_(float x) { return sinOfQuadrant_(x, 0.0); }
  float cos_(float x) { return sinOfQuadrant_(x, 1.0); }
  float tan_(float x) { return sin_(x) / cos_(x); }
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
  float negative_(float x) { return (floatBitsToUint(x) & 0x80000000u) != 0u ? 1.0 : 0.0; }
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
  float pow_(float x, float y) {
    if (y == 0.0 || x == 1.0) return 1.0;
    if (isnan_(x) || isnan_(y)) return NAN_;
    if (x == -1.0 && isinf_(y)) return 1.0;
    bool whole = floor(y) == y;
    bool odd = whole && abs(y) < 16777216.0 && mod(abs(y), 2.0) == 1.0;
    float a = abs(x);
    if (x < 0.0 && !whole && !isinf_(x)) return NAN_;
    float p;
    if (a == 0.0) p = y > 0.0 ? 0.0 : INF_;
    else if (isinf_(a)) p = y > 0.0 ? INF_ : 0.0;
    else if (whole && abs(y) <= 16.0) {
      p = 1.0;
      for (float k = 0.0; k < abs(y); k += 1.0) p *= a;
      if (y < 0.0) p = 1.0 / p;
    } else p = exp_(y * log_(a));
    return odd && (x < 0.0 || negative_(x) == 1.0) ? -p : p;
  }
  float strongMul_(float x, float y) {
    return (x == 0.0 || y == 0.0) ? 0.0 : x * y;
  }
  float max_(float x, float y) { return isnan_(x) ? x : isnan_(y) ? y : max(x, y); }
  float min_(float x, float y) { return isnan_(x) ? x : isnan_(y) ? y : min(x, y); }
  float mod_(float x, float y) {
    if (isnan_(x) || isnan_(y) || isinf_(x) || y == 0.0) return NAN_;
    if (isinf_(y)) return x == 0.0 || (x < 0.0) == (y < 0.0) ? x : y;
    float r = x - y * floor(x / y);
    return r;
  }
  float round_(float x) {
    float r = floor(x + 0.5);
    return r - x == 0.5 && mod(r, 2.0) == 1.0 ? r - 1.0 : r; // halves to even
  }
`;

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
  log: "a < 0.0 || isnan_(a) ? NAN_ : a == 0.0 ? -INF_ : log_(a)",
  log1p: "a < -1.0 || isnan_(a) ? NAN_ : a == -1.0 ? -INF_ : log1p_(a)",
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
  xlogy: "a == 0.0 && !isnan_(b) ? 0.0 : b < 0.0 || isnan_(b) ? NAN_ : b == 0.0 ? -INF_ * a : a * log_(b)",

  eq: "float(a == b)",
  ne: "float(a != b || isnan_(a) || isnan_(b))",
  lt: "float(a < b)",
  le: "float(a <= b)",
  gt: "float(a > b)",
  ge: "float(a >= b)",
  and: "a * b",
  or: "max(a, b)",

  where: "a != 0.0 ? b : c",
};
