/*
 * Loops by hand, compiled ahead of time: what C makes of the works on this machine, and the machine's own limits.
 *
 *   zig cc -target wasm32-wasi-musl -mexec-model=reactor -O3 -ffast-math -msimd128 -mbulk-memory -s -Wl,--export-dynamic \
 *     -Wl,--initial-memory=67108864 -o kernels.wasm kernels.c
 */
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <wasm_simd128.h>

#define EXPORT __attribute__((visibility("default")))

/* Memory for arrays: never given back. */
static unsigned char arena[40 << 20] __attribute__((aligned(64)));
static size_t used;

EXPORT void *take(size_t bytes) {
  void *found = arena + used;
  used += (bytes + 63) & ~(size_t)63;
  return used <= sizeof arena ? found : 0;
}

/* sum(sin(x) exp(-x^2) + tanh(x)), with the elementary functions of musl. */
EXPORT float elementwise(const float *x, int n) {
  float sum = 0;
  for (int i = 0; i < n; i++) sum += sinf(x[i]) * expf(-x[i] * x[i]) + tanhf(x[i]);
  return sum;
}

EXPORT float elementwise_gradient(const float *x, float *gradient, int n) {
  float sum = 0;
  for (int i = 0; i < n; i++) {
    float s = sinf(x[i]), c = cosf(x[i]), e = expf(-x[i] * x[i]), t = tanhf(x[i]);
    sum += s * e + t;
    gradient[i] = c * e - 2 * x[i] * s * e + (1 - t * t);
  }
  return sum;
}

/* c = a b, of n by n, for n divisible by 8: 4 rows by 8 columns in registers, in blocks of rows of b. */
EXPORT void product(const float *a, const float *b, float *c, int n) {
  memset(c, 0, sizeof(float) * n * n);
  enum { depth = 128 };
  for (int k0 = 0; k0 < n; k0 += depth) {
    int k1 = k0 + depth < n ? k0 + depth : n;
    for (int j = 0; j < n; j += 8) {
      for (int i = 0; i < n; i += 4) {
        v128_t sum[4][2];
        for (int r = 0; r < 4; r++)
          for (int s = 0; s < 2; s++) sum[r][s] = wasm_v128_load(c + (i + r) * n + j + 4 * s);
        for (int k = k0; k < k1; k++) {
          v128_t b0 = wasm_v128_load(b + k * n + j), b1 = wasm_v128_load(b + k * n + j + 4);
          for (int r = 0; r < 4; r++) {
            v128_t x = wasm_v128_load32_splat(a + (i + r) * n + k);
            sum[r][0] = wasm_f32x4_add(sum[r][0], wasm_f32x4_mul(x, b0));
            sum[r][1] = wasm_f32x4_add(sum[r][1], wasm_f32x4_mul(x, b1));
          }
        }
        for (int r = 0; r < 4; r++)
          for (int s = 0; s < 2; s++) wasm_v128_store(c + (i + r) * n + j + 4 * s, sum[r][s]);
      }
    }
  }
}

/* 12 independent multiplications and additions of 4 float32 numbers per round: 96 operations. */
EXPORT float multiply_add(int rounds) {
  v128_t sum[12], factor = wasm_f32x4_splat(0.999999f), term = wasm_f32x4_splat(1e-7f);
  for (int i = 0; i < 12; i++) sum[i] = wasm_f32x4_splat(i);
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < 12; i++) sum[i] = wasm_f32x4_add(wasm_f32x4_mul(sum[i], factor), term);
  v128_t total = sum[0];
  for (int i = 1; i < 12; i++) total = wasm_f32x4_add(total, sum[i]);
  return wasm_f32x4_extract_lane(total, 0);
}

EXPORT void copy(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
