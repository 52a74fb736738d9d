import { defineConfig } from "oxlint";

/** Imports point one way: what each package may import, besides itself. */
const mayImport: Record<string, string[]> = {
  core: [],
  "forward-mode": ["@cotangent/core"],
  "reverse-mode": ["@cotangent/core"],
  "backend-js": ["@cotangent/core"],
  // Its own code where it has some, the reference's kernels where it has none.
  "backend-wasm": ["@cotangent/core", "@cotangent/backend-js"],
  "backend-tfjs": ["@cotangent/core", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-webgl"],
  "graph-view": ["@cotangent/core", "@dagrejs/dagre"],
  verify: [
    "@cotangent/core",
    "@cotangent/forward-mode",
    "@cotangent/reverse-mode",
    "cli-progress",
    "cli-table3",
    "commander",
    "decimal.js",
    "fast-check",
  ],
  cotangent: [
    "@cotangent/core",
    "@cotangent/forward-mode",
    "@cotangent/reverse-mode",
    "@cotangent/backend-js",
    "@cotangent/backend-wasm",
    "@cotangent/graph-view",
  ],
};

const folders = Object.keys(mayImport);

/** What somebody could import: the packages, and every package that one of them may import. */
const importable = new Set([
  ...folders.map((folder) => (folder === "cotangent" ? folder : `@cotangent/${folder}`)),
  ...Object.values(mayImport).flat(),
  "@tensorflow/tfjs",
]);

/** tfjs has gradients of its own; the backend takes its kernels alone. */
const tfjsGradients = [
  "grad",
  "grads",
  "valueAndGrad",
  "valueAndGrads",
  "variableGrads",
  "customGrad",
  "registerGradient",
  "unregisterGradient",
  "getGradient",
  "train",
  "Optimizer",
  "OptimizerConstructors",
];

const noTfjsGradients = "The backend uses tfjs's kernels, never its gradients.";

function oneWayImports(folder: string, allowed: string[]) {
  const forbidden = [...importable].filter((name) => !allowed.includes(name));
  return {
    files: [`packages/${folder}/src/**/*.ts`],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: `^(${forbidden.join("|")})(/|$)`,
              message: `packages/${folder} may import ${allowed.join(", ") || "no package"}, and nothing else.`,
            },
            {
              regex: `^\\..*/(${folders.join("|")})/src(/|$)`,
              message: "Import another package by its name.",
            },
            {
              regex: "^@tensorflow/tfjs-core/dist/(.*/)?(gradients|register_all_gradients|optimizers|train)",
              message: noTfjsGradients,
            },
          ],
          paths: [
            {
              name: "@tensorflow/tfjs-core",
              importNames: tfjsGradients,
              message: noTfjsGradients,
            },
          ],
        },
      ],
    },
  } as const;
}

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "vitest"],
  categories: { correctness: "error", suspicious: "error" },
  ignorePatterns: ["**/dist/**"],
  rules: {
    "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    eqeqeq: "error",
    "no-var": "error",
    "prefer-const": "error",
    "import/no-cycle": "error",
    "typescript/no-explicit-any": "error",
    // Styles that this code does not follow: names recur in inner scopes, arrays are allocated by length,
    // side effects are imported, and tests assert through the laws that they call.
    "consistent-return": "off",
    "no-shadow": "off",
    "import/no-unassigned-import": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/no-array-reverse": "off",
    "unicorn/consistent-function-scoping": "off",
    "unicorn/no-new-array": "off",
    "unicorn/require-module-specifiers": "off",
    "vitest/expect-expect": "off",
    // Suites are tables: a row decides which expectation it meets, names its test, and is named in the message.
    "vitest/no-conditional-expect": "off",
    "vitest/valid-title": "off",
    "vitest/valid-expect": ["error", { maxArgs: 2 }],
    // Takes tfjs's fill(shape, value) for an array's.
    "unicorn/no-array-fill-with-reference-type": "off",
    // The seams where generic rules meet concrete values need assertions; index labels are spread as strings.
    "typescript/no-unsafe-type-assertion": "off",
    "typescript/no-unnecessary-type-conversion": "off",
    "typescript/no-generated-empty-object-type": "off",
    "typescript/no-base-to-string": "off",
    "typescript/no-misused-spread": "off",
    "typescript/restrict-template-expressions": "off",
    "typescript/consistent-type-imports": "error",
    "typescript/ban-ts-comment": "error",
    // A test's promise is its runner's.
    "typescript/no-floating-promises": [
      "error",
      { allowForKnownSafeCalls: [{ from: "package", name: "test", package: "node:test" }] },
    ],
    "typescript/no-misused-promises": "error",
    "typescript/await-thenable": "error",
  },
  overrides: [
    { files: ["packages/*/src/**/*.ts"], rules: { "no-console": "error" } },
    { files: ["packages/verify/src/cli.ts"], rules: { "no-console": "off" } },
    {
      // Workers are not windows and have no origin; losing one is worth a warning, not an error.
      files: ["packages/backend-wasm/src/threads/pool.ts"],
      rules: {
        "unicorn/require-post-message-target-origin": "off",
        "no-console": ["error", { allow: ["warn"] }],
      },
    },
    {
      files: ["packages/backend-tfjs/src/**/*.ts"],
      rules: { "no-restricted-properties": ["error", { property: "gradients", message: noTfjsGradients }] },
    },
    ...Object.entries(mayImport).map(([folder, allowed]) => oneWayImports(folder, allowed)),
  ],
});
