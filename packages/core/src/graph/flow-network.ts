/**
 * Minimum cuts of networks, by the largest flow: E. A. Dinic, "Algorithm for solution of a problem of maximum flow in
 * networks with power estimation" (1970).
 */

/** A network of edges with room for flow, each followed by its reverse. */
export class FlowNetwork {
  readonly #edges: number[][] = [];
  readonly #to: number[] = [];
  readonly #room: number[] = [];

  vertex(): number {
    return this.#edges.push([]) - 1;
  }

  edge(from: number, to: number, room: number): void {
    this.#edges[from].push(this.#to.push(to) - 1);
    this.#room.push(room);
    this.#edges[to].push(this.#to.push(from) - 1);
    this.#room.push(0);
  }

  /** Sends as much as possible from the source to the sink, and gives how much that is. */
  saturate(source: number, sink: number): number {
    let total = 0;
    for (;;) {
      const levels = this.#levels(source, sink);
      if (levels[sink] < 0) return total;
      total += this.#blockingFlow(source, sink, levels);
    }
  }

  /** Distances from the source along edges with room. */
  #levels(source: number, sink: number): Int32Array {
    const levels = new Int32Array(this.#edges.length).fill(-1);
    levels[source] = 0;
    const open = [source];
    for (const vertex of open) {
      if (vertex === sink) break;
      for (const edge of this.#edges[vertex]) {
        const to = this.#to[edge];
        if (this.#room[edge] <= 0 || levels[to] >= 0) continue;
        levels[to] = levels[vertex] + 1;
        open.push(to);
      }
    }
    return levels;
  }

  /** Fills all shortest paths. Paths are kept in a list, as a graph may be deeper than the stack. */
  #blockingFlow(source: number, sink: number, levels: Int32Array): number {
    const next = new Int32Array(this.#edges.length);
    const path: number[] = [];
    let total = 0;
    for (;;) {
      const last = path.at(-1);
      const vertex = last === undefined ? source : this.#to[last];
      if (vertex === sink) {
        const most = path.reduce((least, edge) => Math.min(least, this.#room[edge]), Infinity);
        for (const edge of path) {
          this.#room[edge] -= most;
          this.#room[edge ^ 1] += most;
        }
        total += most;
        path.length = path.findIndex((edge) => this.#room[edge] <= 0);
        continue;
      }
      const edges = this.#edges[vertex];
      const leadsOn = (edge: number): boolean =>
        this.#room[edge] > 0 && levels[this.#to[edge]] === levels[vertex] + 1;
      while (next[vertex] < edges.length && !leadsOn(edges[next[vertex]])) next[vertex]++;
      if (next[vertex] < edges.length) {
        path.push(edges[next[vertex]]);
      } else {
        if (last === undefined) return total;
        path.pop();
        // That edge leads nowhere any more.
        next[this.#to[last ^ 1]]++;
      }
    }
  }

  /** Which vertices the start reaches along edges with room: 1 for those that it does. */
  reachedFrom(start: number): Uint8Array {
    return this.#spread(start, (edge) => this.#room[edge]);
  }

  /** Which vertices reach the end along edges with room. */
  reaching(end: number): Uint8Array {
    return this.#spread(end, (edge) => this.#room[edge ^ 1]);
  }

  #spread(start: number, room: (edge: number) => number): Uint8Array {
    const found = new Uint8Array(this.#edges.length);
    found[start] = 1;
    const open = [start];
    for (const vertex of open) {
      for (const edge of this.#edges[vertex]) {
        const other = this.#to[edge];
        if (room(edge) <= 0 || found[other] === 1) continue;
        found[other] = 1;
        open.push(other);
      }
    }
    return found;
  }
}
