import * as z from "zod";
import type { Leftover, LeftoverRemoval, Leftovers } from "../work-types.js";
import { compact, count, flag, line, lines, number, parseTime, text, texts } from "./fields.js";

const KINDS: readonly Leftover["kind"][] = ["session", "folder", "clone", "branches", "branch"];

const leftoverWire = z.looseObject({
  id: z.string(),
  kind: z.string(),
  name: text,
  path: text,
  repository: text,
  bytes: number,
  bytes_whole: flag,
  used_at: text,
  in_use: flag,
  held_by: text,
  delivered: flag,
  untouched: flag,
  commits_only_here: number,
  commits: texts,
  files: number,
  losses: texts,
  problem: text,
  safe: flag,
  mark: z.string(),
});

const branchWire = z.object({
  clone: z.string(),
  repository: z.string(),
  branch: z.string(),
  commit: z.string(),
  into: z.string(),
});

export const leftoversWire = z.looseObject({
  items: z.array(leftoverWire),
  merged_branches: z.array(branchWire),
  bytes: number,
  bytes_whole: flag,
});
export const removalWire = z.looseObject({ kept: text, lost: text, errors: texts });

export function toLeftovers(wire: z.output<typeof leftoversWire>): Leftovers {
  return {
    items: wire.items.flatMap((item) => {
      const kind = KINDS.find((one) => one === item.kind);
      return kind ? [toLeftover(kind, item)] : [];
    }),
    mergedBranches: wire.merged_branches,
    bytes: count(wire.bytes) ?? 0,
    isWhole: wire.bytes_whole !== false,
  };
}

function toLeftover(kind: Leftover["kind"], wire: z.output<typeof leftoverWire>): Leftover {
  return compact<Leftover>({
    id: wire.id,
    kind,
    name: line(wire.name, 200) ?? wire.id,
    path: line(wire.path, 4_096) ?? "",
    repository: line(wire.repository, 2_048),
    bytes: count(wire.bytes) ?? 0,
    isWhole: wire.bytes_whole !== false,
    usedAt: parseTime(wire.used_at),
    inUse: wire.in_use === true,
    heldBy: line(wire.held_by, 250),
    isDelivered: wire.delivered === true,
    isUntouched: wire.untouched === true,
    commitsOnlyHere: count(wire.commits_only_here) ?? 0,
    commits: lines(wire.commits),
    files: count(wire.files) ?? 0,
    losses: lines(wire.losses),
    problem: line(wire.problem, 500),
    // What is not said to be safe is not.
    safe: wire.safe === true,
    mark: wire.mark,
  });
}

export function toRemoval(wire: z.output<typeof removalWire>): LeftoverRemoval {
  return compact<LeftoverRemoval>({
    kept: line(wire.kept, 2_000),
    lost: line(wire.lost, 2_000),
    errors: lines(wire.errors),
  });
}
