/** A backend as the command knows it: where its cells are judged. */
import type { Backend, DType } from "@cotangent/core";
import { type Cell, type Effort, type Watch, runCampaign } from "../campaign.ts";

export interface Column {
  /** What `--backend` calls it. */
  readonly name: string;
  readonly dtypes: readonly DType[];
  /** Judges cells, telling the watch, until that is stopped; rejects where the backend cannot be had. */
  judge(cells: readonly Cell[], effort: Effort, watch: Watch): Promise<void>;
}

/** A backend in this process, made when it is asked for; `reference` is what it is compared with, in float64. */
export function localColumn(
  name: string,
  dtypes: readonly DType[],
  backend: () => Backend | Promise<Backend>,
  reference: Backend,
): Column {
  return {
    name,
    dtypes,
    judge: async (cells, effort, watch) => runCampaign(await backend(), reference, cells, effort, watch),
  };
}
