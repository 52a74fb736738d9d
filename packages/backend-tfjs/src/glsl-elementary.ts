export const glslMacros = `
  #define INF_ uintBitsToFloat(0x7f800000u)
  #define NAN_ uintBitsToFloat(0x7fc00000u)`;

/**
 * exp, log, pow, sin and cos for float32 in GLSL, from additions, products and the bits of numbers alone: WebGL promises
 * no more than that (its own exp and pow may be off by hundreds of ulp, its sin by any amount for large arguments).
 *
 * The polynomials of exp, log, sin and cos are those of the Cephes library (S. L. Moshier, 1992).
 */
export const glslElementary = `
  // By their bits: a compiler may assume that there are no NaNs and fold the built-in tests away.
  bool isnan_(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
  bool isinf_(float x) { return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u; }
  // The number cut to 12 bits, so that its product with another such is exact.
  float head_(float x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }
  float powerOfTwo_(float n) { return uintBitsToFloat(uint(int(n) + 127) << 23); }
  // e^r 2^n for |r| < 0.4; the power in two factors, since 2^128 is no float32 though 0.9 * 2^128 is.
  float scaledExp_(float r, float n) {
    float p = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r
      + 1.6666665459e-1) * r + 5.0000001201e-1;
    if (n > 129.0) return INF_;
    if (n < -150.0) return 0.0;
    float half_ = floor(0.5 * n);
    return (p * r * r + r + 1.0) * powerOfTwo_(half_) * powerOfTwo_(n - half_);
  }
  float exp_(float x) {
    if (isnan_(x)) return x;
    if (x > 89.0) return INF_;
    if (x < -104.0) return 0.0;
    float n = floor(x * 1.4426950408889634 + 0.5);
    return scaledExp_((x - n * 0.693359375) + n * 2.12194440e-4, n);
  }
  // x = m 2^e with m from about sqrt(1/2) to sqrt(2), for x > 0.
  float mantissa_(float x, out float e) {
    uint bits = floatBitsToUint(x);
    uint shifted = bits - 0x3f3504f3u; // sqrt(1/2)
    e = float(int(shifted) >> 23);
    return uintBitsToFloat((shifted & 0x007fffffu) + 0x3f3504f3u);
  }
  // log(1 + f) + e log 2 for f from sqrt(1/2) - 1 to sqrt(2) - 1.
  float logNearOne_(float f, float e) {
    float z = f * f;
    float p = (((((((7.0376836292e-2 * f - 1.1514610310e-1) * f + 1.1676998740e-1) * f - 1.2420140846e-1) * f
      + 1.4249322787e-1) * f - 1.6668057665e-1) * f + 2.0000714765e-1) * f - 2.4999993993e-1) * f + 3.3333331174e-1;
    return (f + (f * z * p - 2.12194440e-4 * e - 0.5 * z)) + 0.693359375 * e;
  }
  float log_(float x) {
    if (isnan_(x) || x < 0.0) return NAN_;
    if (x == 0.0) return -INF_;
    if (isinf_(x)) return x;
    float e;
    float m = mantissa_(x, e);
    return logNearOne_(m - 1.0, e);
  }
  float log1p_(float x) {
    if (isnan_(x) || x < -1.0) return NAN_;
    if (x > -0.29 && x < 0.41) return logNearOne_(x, 0.0);
    float u = 1.0 + x;
    if (u == 0.0 || isinf_(u)) return log_(u);
    return log_(u) - ((u - 1.0) - x) / u; // with what the rounding of u lost
  }
  // a to the power y for a > 0 and finite: y log2(a) in two floats, since its error is that of the result times 128.
  float positivePow_(float a, float y) {
    float e;
    float f = mantissa_(a, e) - 1.0;
    float fHead = head_(f);
    float s = f / (2.0 + f);
    float sHead = head_(s);
    float sTail = (((f - 2.0 * sHead) - sHead * fHead) - sHead * (f - fHead)) / (2.0 + f);
    float z = s * s;
    float series = s * z * (((z / 9.0 + 1.0 / 7.0) * z + 0.2) * z + 0.33333333);
    // 2 / log 2 = 2.884765625 + 6.244567779e-4
    float top = sHead * 2.884765625;
    float rest = sHead * 6.2445677793e-4 + (sTail + series) * 2.8853900818;
    float logHead = head_(top + rest);
    float logTail = (top - logHead) + rest;
    float estimate = y * (e + logHead);
    if (estimate > 200.0) return INF_;
    if (estimate < -200.0) return 0.0;
    float yHead = head_(y);
    float yTail = y - yHead;
    float n = floor(estimate + 0.5);
    float fraction = ((yHead * e - n) + yHead * logHead) + (yTail * (e + logHead) + y * logTail);
    return scaledExp_(fraction * 0.6931471805599453, n);
  }
  float negative_(float x) { return (floatBitsToUint(x) & 0x80000000u) != 0u ? 1.0 : 0.0; }
  float pow_(float x, float y) {
    if (y == 0.0 || x == 1.0) return 1.0;
    if (isnan_(x) || isnan_(y)) return NAN_;
    bool whole = floor(y) == y;
    bool odd = whole && abs(y) < 16777216.0 && mod(abs(y), 2.0) == 1.0;
    float a = abs(x);
    if (x < 0.0 && !whole && !isinf_(x)) return NAN_;
    float p;
    if (isinf_(y)) {
      if (a == 1.0) return 1.0;
      return (a > 1.0) == (y > 0.0) ? INF_ : 0.0;
    }
    if (a == 0.0) p = y > 0.0 ? 0.0 : INF_;
    else if (isinf_(a)) p = y > 0.0 ? INF_ : 0.0;
    else p = positivePow_(a, y);
    return odd && negative_(x) == 1.0 ? -p : p;
  }
  uint highProduct_(uint a, uint b) {
    uint aHigh = a >> 16;
    uint aLow = a & 0xffffu;
    uint bHigh = b >> 16;
    uint bLow = b & 0xffffu;
    uint cross = ((aLow * bLow) >> 16) + ((aLow * bHigh) & 0xffffu) + ((aHigh * bLow) & 0xffffu);
    return aHigh * bHigh + ((aLow * bHigh) >> 16) + ((aHigh * bLow) >> 16) + (cross >> 16);
  }
  // The bits of 1 / 2π after the point, with 32 zeros in front.
  const uint turns_[9] = uint[9](
    0x00000000u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u,
    0x36d8a566u, 0x4f10e410u, 0x7f9458eau, 0xf7aef158u);
  uint turnBits_(int offset) {
    int word = offset >> 5;
    int shift = offset & 31;
    uint first = turns_[word];
    return shift == 0 ? first : (first << shift) | (turns_[word + 1] >> (32 - shift));
  }
  // x less the nearest multiple of π/2, and that multiple modulo 4: x / 2π in whole numbers, to 96 bits after the point.
  float reduced_(float x, out uint quadrant) {
    quadrant = 0u;
    if (abs(x) < 0.7853981) return x;
    uint bits = floatBitsToUint(x);
    uint m = (bits & 0x007fffffu) | 0x00800000u;
    int offset = int((bits >> 23) & 0xffu) - 150 + 32;
    uint middle = turnBits_(offset + 32);
    uint carry = highProduct_(m, turnBits_(offset + 64));
    uint low = m * middle + carry;
    uint high = m * turnBits_(offset) + highProduct_(m, middle) + (low < carry ? 1u : 0u);
    quadrant = (high + 0x20000000u) >> 30;
    high -= quadrant << 30;
    bool below = high >= 0x80000000u;
    if (below) {
      low = ~low + 1u;
      high = ~high + (low == 0u ? 1u : 0u);
    }
    if (x < 0.0) quadrant = 4u - quadrant;
    float turn = float(high) * 2.3283064365386963e-10 + float(low) * 5.421010862427522e-20;
    float turnHead = head_(turn);
    // 2π = 6.28125 + 1.935307179586e-3
    float r = turnHead * 6.28125 + (turnHead * 1.9353071795864769e-3 + (turn - turnHead) * 6.283185307179586);
    return below != (x < 0.0) ? -r : r;
  }
  float sinPoly_(float x) {
    float z = x * x;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * x + x;
  }
  float cosPoly_(float x) {
    float z = x * x;
    return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  }
  float sinOfQuadrant_(float x, uint shift) {
    if (isnan_(x) || isinf_(x)) return NAN_;
    uint quadrant;
    float r = reduced_(x, quadrant);
    quadrant += shift;
    float s = (quadrant & 1u) == 0u ? sinPoly_(r) : cosPoly_(r);
    return (quadrant & 2u) == 0u ? s : -s;
  }
  float sin_(float x) { return sinOfQuadrant_(x, 0u); }
  float cos_(float x) { return sinOfQuadrant_(x, 1u); }
  float tan_(float x) { return sin_(x) / cos_(x); }
  float atanh_(float x) {
    float a = abs(x);
    if (isnan_(x) || a > 1.0) return NAN_;
    if (a == 1.0) return sign(x) * INF_;
    float z = x * x;
    if (a < 0.5) {
      return ((((1.81740078349e-1 * z + 8.24370301058e-2) * z + 1.46691431730e-1) * z + 1.99782164500e-1) * z
        + 3.33337300303e-1) * z * x + x;
    }
    return sign(x) * 0.5 * log1p_(2.0 * a / (1.0 - a));
  }
`;
