import { expect, test } from "vitest";

test("every package loads under plain Node", async () => {
  const modules = await Promise.all([
    import("@cotangent/core"),
    import("@cotangent/forward-mode"),
    import("@cotangent/reverse-mode"),
    import("@cotangent/backend-js"),
    import("@cotangent/backend-wasm"),
    import("@cotangent/graph-view"),
    import("@cotangent/verify"),
    import("cotangent"),
  ]);
  expect(modules).toHaveLength(8);
});
