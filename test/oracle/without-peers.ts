/** What neither JAX nor PyTorch has, so that there is no fixture of it, and why. */

export const primitivesWithoutPeers: Readonly<Record<string, string>> = {
  strongMul:
    "The product of the chain rule, in which 0 times anything is 0: the peers' derivatives multiply as numbers do. " +
    "Every derivative in the fixtures goes through it.",
  loopPullback:
    "The way back through a whileLoop and through a scan with checkpoints: JAX refuses the one and saves everything of " +
    "the other. The fixtures of whileLoop and scanWithCheckpoints go through it.",
};

const otherDraws =
  "The peers make other numbers of the same bits, so nothing but a distribution could be compared.";

/** Functions of `core/src/ops` and of random numbers, by their names there. */
export const functionsWithoutPeers: Readonly<Record<string, string>> = {
  constant: "What full, zeros and ones are made by.",
  constantLike: "What zerosLike and onesLike are made by.",
  twoKeys: "splitKey, for what needs two.",
  axesOfKeys: "Shapes alone.",
  normal: otherDraws,
  gumbel: otherDraws,
  gamma: `${otherDraws} Its derivative is that of gammaQuantile.`,
  bernoulli: otherDraws,
  categorical: otherDraws,
};
