/**
 * Products of matrices: tiles of C in registers, blocks of A and panels of B in caches (K. Goto, R. A. van de Geijn, "Anatomy
 * of High-Performance Matrix Multiplication", 2008). What lies badly is packed: B as a whole before, into panels as wide as a
 * tile; rows of A block by block, into memory that each thread has for itself.
 */
import type { DType } from "@cotangent/core";
import { type Expr, type FunctionBuilder, type Local, type ModuleBuilder, i32 } from "../emit/index.ts";
import { scratchBytes } from "../threads/pool.ts";
import type { Emitted, Shared } from "./cluster.ts";
import { countOf } from "./contraction.ts";
import { emitGather, emitRows } from "./packing.ts";
import { ProductCode, advance, each, least, plus, scaled } from "./product-code.ts";
import { A, B, C, type ProductPlan, manyProducts, operandsOf, parts, strideThrough } from "./product-plan.ts";
import { bytesPer, impossible } from "./registers.ts";
import { type TileLayout, emitTile, isFirst, isLast } from "./tile.ts";

/** Most tiles of a block of rows, which a panel of B meets while it is in the first cache. */
const mostTiles = 16;

/** From the addresses of A, of B or its panels, of C, and of what the epilogue reads and writes. */
export function emitProduct(shared: Shared, plan: ProductPlan): Emitted {
  return new Tiles(shared, plan).emitted();
}

/** A function of so many addresses that can be run in parts, and the parts to be done. */
function inParts(
  module: ModuleBuilder,
  name: string,
  addresses: number,
  all: number,
  isLarge: boolean,
): { f: FunctionBuilder; units: number; begin: Expr; end: Expr; scratch: Expr } {
  const units = isLarge ? all : 1;
  const rest = units > 1 ? 3 : 1;
  const f = module.function(name, new Array<"i32">(addresses + rest).fill("i32"));
  const [begin, end] =
    units > 1 ? f.args.slice(addresses).map(({ get }) => get) : [i32.const(0), i32.const(all)];
  return { f, units, begin, end, scratch: f.args[addresses + rest - 1].get };
}

/** How the tiles of a product are put together, and its terms taken apart. */
interface Blocking {
  /** Rows of tiles. Of these the first `higher` ones have a row more than the others, which have `low`. */
  readonly tiles: number;
  readonly low: number;
  readonly higher: number;
  /** Blocks of rows of tiles. */
  readonly blocks: number;
  readonly blockTiles: number;
  /** Strips of panels. */
  readonly strips: number;
  readonly stripPanels: number;
  /** Most terms at a time, and how often some are taken. */
  readonly pieceDepth: number;
  readonly pieces: number;
  readonly turns: number;
}

function blockingOf({ plan, rows, panels, terms, bytes }: ProductCode): Blocking {
  const { spec, packsA, height, splitAxis, splitSize } = plan;
  const batches = countOf(spec.batch);
  const pieceDepth = splitSize * countOf(terms.slice(splitAxis + 1));
  const inScratch = Math.floor(scratchBytes / (height * pieceDepth * bytes));
  if (packsA !== "no" && inScratch < 1) impossible("a tile's rows do not fit into the scratch memory");
  const tiles = Math.ceil(rows / height);
  const wantedBlocks = Math.max(Math.ceil(tiles / mostTiles), Math.min(tiles, Math.ceil(parts / batches)));
  const blockTiles = Math.min(Math.ceil(tiles / wantedBlocks), packsA === "no" ? tiles : inScratch);
  const blocks = Math.ceil(tiles / blockTiles);
  const wantedStrips = Math.min(panels, Math.ceil(parts / 2 / (batches * blocks)));
  // Each strip packs its rows of A again.
  const mostStrips = packsA === "no" ? panels : Math.max(1, Math.floor(panels / 4));
  const stripPanels = Math.ceil(panels / Math.min(wantedStrips, mostStrips));
  const pieces = Math.ceil(terms[splitAxis].size / splitSize);
  return {
    tiles,
    low: Math.floor(rows / tiles),
    higher: rows % tiles,
    blocks,
    blockTiles,
    strips: Math.ceil(panels / stripPanels),
    stripPanels,
    pieceDepth,
    pieces,
    turns: countOf(terms.slice(0, splitAxis)) * pieces,
  };
}

/** What is at hand while some terms of a block of rows are multiplied. */
interface Turn {
  /** The tiles of the block, and the first of its rows. */
  readonly firstTile: Expr;
  readonly endTile: Expr;
  readonly firstRow: Expr;
  /** Where A begins, for these terms. */
  readonly source: Expr;
  /** The number of the first term, how many there are, and whether they are the first or the last. */
  readonly term: Expr;
  readonly depth: Expr;
  readonly state: Expr;
}

/** A product in tiles: for each block of rows and strip of panels, for each piece of the terms, panel by panel. */
class Tiles {
  private readonly shared: Shared;
  private readonly code: ProductCode;
  private readonly blocking: Blocking;
  private readonly layout: TileLayout;
  private readonly f: FunctionBuilder;
  private readonly units: number;
  private readonly scratch: Expr;
  private readonly callsHost: boolean;
  /** The heights of tiles, the larger one first. */
  private readonly heights: readonly number[];
  /** Tiles of each height. */
  private readonly wholeTiles: readonly FunctionBuilder[];
  private readonly lastTiles: readonly FunctionBuilder[];
  /** The dtypes of what the epilogue reads and writes. */
  private readonly others: readonly DType[];

  constructor(shared: Shared, plan: ProductPlan) {
    this.shared = shared;
    const code = (this.code = new ProductCode(shared.module, plan));
    const { spec, packsA, packsB } = plan;
    const { rows, columns, depth, panels, width, lastWidth } = code;
    const blocking = (this.blocking = blockingOf(code));
    const { low, higher, blocks, strips, pieceDepth } = blocking;
    this.others = spec.epilogue === undefined ? [] : operandsOf(spec.epilogue);
    const batches = countOf(spec.batch);
    const isLarge = batches * rows * columns * depth >= manyProducts;
    const all = batches * blocks * strips;
    const { f, units, begin, end, scratch } = inParts(
      shared.module,
      "product",
      3 + this.others.length,
      all,
      isLarge,
    );
    this.f = f;
    this.units = units;
    this.scratch = scratch;
    this.layout = {
      row: packsA === "rows" ? pieceDepth : packsA === "terms" ? 1 : (strideThrough(spec.rows, A) ?? 0),
      term: packsA === "rows" ? 1 : packsA === "terms" ? "height" : (strideThrough(spec.terms, A) ?? 0),
      b: packsB ? "width" : (strideThrough(spec.terms, B) ?? 0),
      dots: plan.isDot ? (packsB ? depth : (strideThrough(spec.columns, B) ?? 0)) : undefined,
      c: strideThrough(spec.rows, C),
      column: strideThrough(spec.columns, C) ?? impossible("the columns of a product are not in order"),
      isSummed: blocking.turns > 1,
    };
    this.heights = higher > 0 ? [low + 1, low] : [low];
    const hostCalls = shared.host.calls();
    const tilesOf = (active: number): FunctionBuilder[] =>
      this.heights.map((height) => emitTile(shared, code, this.layout, height, active));
    this.wholeTiles = panels > 1 ? tilesOf(width) : [];
    this.lastTiles = tilesOf(lastWidth);
    this.callsHost = shared.host.calls() > hostCalls;
    const pack = this.packing();
    each(f, begin, end, (unit) => this.unit(unit, pack));
  }

  emitted(): Emitted {
    const { f, units, callsHost } = this;
    return { f, units, callsHost, usesScratch: true };
  }

  private firstRow(tile: Expr): Expr {
    const { low, higher } = this.blocking;
    return i32.add(scaled(tile, low), higher === 0 ? i32.const(0) : least(tile, i32.const(higher)));
  }

  /** Code for each height of tiles, of which that for the tile's own is run. */
  private byHeight(tile: Expr, body: (which: number) => void): void {
    if (this.heights.length === 1) body(0);
    else
      this.f.if(
        i32.lt_s(tile, i32.const(this.blocking.higher)),
        () => body(0),
        () => body(1),
      );
  }

  private unit(unit: Expr, pack: (turn: Turn, count: Expr) => void): void {
    const { f, code } = this;
    const { plan, terms, bytes, panels } = code;
    const { spec, splitAxis, splitSize } = plan;
    const { tiles, blocks, blockTiles, strips, stripPanels, pieces, turns } = this.blocking;
    const [x, y, z, ...rest] = f.args.slice(0, 3 + this.others.length);
    const strip = f.let(i32.rem_u(unit, i32.const(strips))).get;
    const block = f.let(i32.div_u(unit, i32.const(strips))).get;
    const product = f.let(i32.div_u(block, i32.const(blocks))).get;
    const startOf = (operand: number, address: Local, size: number): Expr =>
      f.let(i32.add(address.get, code.offset(f, product, spec.batch, operand, size))).get;
    const startA = startOf(A, x, bytes);
    const startB = plan.packsB
      ? f.let(i32.add(y.get, scaled(product, plan.isSharedB ? 0 : code.panelBytes))).get
      : startOf(B, y, bytes);
    const targets = [
      startOf(C, z, bytes),
      ...rest.map((address, i) => startOf(C + 1 + i, address, bytesPer[this.others[i]])),
    ];
    const firstTile = f.let(scaled(i32.rem_u(block, i32.const(blocks)), blockTiles)).get;
    const endTile = f.let(least(plus(firstTile, blockTiles), i32.const(tiles))).get;
    const firstRow = f.let(this.firstRow(firstTile)).get;
    const firstPanel = f.let(scaled(strip, stripPanels)).get;
    const endPanel = f.let(least(plus(firstPanel, stripPanels), i32.const(panels))).get;
    const { size, strides } = terms[splitAxis];
    const inner = countOf(terms.slice(splitAxis + 1));
    each(f, i32.const(0), i32.const(turns), (turn) => {
      // Which terms: a place in the outer axes, and some steps of the one that is taken apart.
      const step = f.let(scaled(i32.rem_u(turn, i32.const(pieces)), splitSize)).get;
      const place = f.let(i32.div_u(turn, i32.const(pieces))).get;
      const count = f.let(least(i32.const(splitSize), i32.sub(i32.const(size), step))).get;
      const outer = code.offset(f, place, terms.slice(0, splitAxis), A);
      const here: Turn = {
        firstTile,
        endTile,
        firstRow,
        source: f.let(i32.add(i32.add(startA, outer), scaled(step, strides[A] * bytes))).get,
        term: f.let(scaled(i32.add(scaled(place, size), step), inner)).get,
        depth: f.let(scaled(count, inner)).get,
        state: f.let(
          i32.or(scaled(i32.eqz(turn), isFirst), scaled(i32.eq(turn, i32.const(turns - 1)), isLast)),
        ).get,
      };
      pack(here, count);
      each(f, firstPanel, endPanel, (panel) => this.panel(here, panel, startB, targets));
    });
  }

  /** What packs the rows of a block, for so many steps of the terms. */
  private packing(): (turn: Turn, count: Expr) => void {
    const { f, code, scratch } = this;
    const { packsA, splitAxis } = code.plan;
    if (packsA === "no") return () => undefined;
    if (packsA === "rows") {
      const rows = emitRows(code, A, splitAxis, this.blocking.pieceDepth * code.bytes);
      return ({ source, firstRow, endTile }, count) =>
        f.call(rows, source, scratch, firstRow, i32.sub(this.firstRow(endTile), firstRow), count);
    }
    const gathers = this.heights.map((height) => emitGather(code, A, splitAxis, height, height));
    return (turn, count) =>
      each(f, turn.firstTile, turn.endTile, (tile) =>
        this.byHeight(tile, (which) =>
          f.call(gathers[which], turn.source, this.packedTile(turn, tile), this.firstRow(tile), count),
        ),
      );
  }

  /** Where the rows of a tile are packed, where they are packed term by term. */
  private packedTile({ firstTile }: Turn, tile: Expr): Expr {
    const bytes = this.heights[0] * this.blocking.pieceDepth * this.code.bytes;
    return i32.add(this.scratch, scaled(i32.sub(tile, firstTile), bytes));
  }

  /** A block of rows times a panel. */
  private panel(turn: Turn, panel: Expr, startB: Expr, targets: readonly Expr[]): void {
    const { f, code, layout, heights } = this;
    const { plan, bytes, panels, width, lastWidth, depth } = code;
    const { spec, packsA, packsB } = plan;
    const along = (operand: number): number =>
      strideThrough(spec.columns, operand) ?? impossible("the columns of a product cannot be reached");
    const isLastPanel = f.let(i32.eq(panel, i32.const(panels - 1))).get;
    const b = f.let(startB);
    if (plan.isDot) advance(f, b, scaled(turn.term, bytes));
    else if (packsB) {
      advance(f, b, scaled(panel, depth * width * bytes));
      advance(f, b, scaled(turn.term, width * bytes));
      const narrower = width - code.padded(lastWidth);
      if (narrower > 0) f.if(isLastPanel, () => advance(f, b, scaled(turn.term, -narrower * bytes)));
    } else {
      advance(f, b, scaled(panel, width * along(B) * bytes));
      advance(f, b, scaled(turn.term, (strideThrough(spec.terms, B) ?? 0) * bytes));
    }
    const [c, ...others] = targets.map((target, i) => {
      const size = i === 0 ? bytes : bytesPer[this.others[i - 1]];
      return f.let(i32.add(target, scaled(panel, width * along(C + i) * size))).get;
    });
    const row = f.let(turn.firstRow);
    const go = (tiles: readonly FunctionBuilder[]): void =>
      each(f, turn.firstTile, turn.endTile, (tile) =>
        this.byHeight(tile, (which) => {
          const a =
            packsA === "rows"
              ? i32.add(this.scratch, scaled(i32.sub(row.get, turn.firstRow), layout.row * bytes))
              : packsA === "terms"
                ? this.packedTile(turn, tile)
                : i32.add(turn.source, scaled(row.get, layout.row * bytes));
          const target = layout.c === undefined ? c : i32.add(c, scaled(row.get, layout.c * bytes));
          f.call(tiles[which], a, b.get, target, turn.depth, turn.state, row.get, ...others);
          advance(f, row, heights[which]);
        }),
      );
    if (panels === 1) go(this.lastTiles);
    else
      f.if(
        isLastPanel,
        () => go(this.lastTiles),
        () => go(this.wholeTiles),
      );
  }
}
