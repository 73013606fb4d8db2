import { isAbsolute } from "node:path";
import type { Leftover, Leftovers } from "../../api/work-types.js";
import { cleanLine } from "../../shared/text.js";
import { showUnseen } from "../../shared/visible-text.js";
import { measure, pad, shorten, tellSpan } from "./fit-text.js";

/** An entry with the number by which it is named. */
export interface Numbered extends Leftover {
  number: number;
  /** It goes with "all" and with `--yes`. */
  suggested: boolean;
}

/** "48 MB": the largest unit of which there is at least one, as disks are counted. */
export function tellSize(bytes: number, isWhole = true): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${isWhole ? "" : "at least "}${value.toFixed(digits)} ${units[unit]}`;
}

function tellCommits(count: number): string {
  return `${count} ${count === 1 ? "commit that is" : "commits that are"} nowhere else`;
}

/** What would be lost with it, or where its work is. */
export function tellHolding(item: Leftover): string {
  if (item.inUse) return "a run of it is going on or waiting";
  if (item.problem) return `not known: ${cleanLine(item.problem)}`;
  const lost = [
    item.commitsOnlyHere > 0 && tellCommits(item.commitsOnlyHere),
    ...(item.files > 0
      ? [`${item.repository === undefined ? "files" : "uncommitted files"}: ${item.files}`]
      : item.losses),
  ].filter((one) => typeof one === "string");
  if (lost.length > 0) return lost.join(", ");
  switch (item.kind) {
    case "branches":
      return `${item.commits.length} of sessions that are gone, in the engine's clone; the repository has all of it`;
    case "clone":
      return "no session uses it, and the repository has all of it";
    case "folder":
      return "no session has it, and nothing is only there";
    default:
  }
  if (item.isUntouched) return "nothing committed";
  if (item.heldBy === undefined) return "empty";
  if (!item.isDelivered) return `merged into ${item.heldBy}`;
  return `on ${item.heldBy} in ${isAbsolute(item.repository ?? "") ? "your repository" : "the repository"}`;
}

/** How one looks at what would be lost; undefined where a folder is all there is. */
export function tellHowToLook(item: Leftover, shellWord: (word: string) => string): string {
  const git = `git -C ${shellWord(item.path)}`;
  if (item.kind === "branch") return `${git} log ${shellWord(item.name)} --not --remotes`;
  if (item.kind === "clone") return `git -C ${shellWord(`${item.path}/.git`)} log --all --not --remotes`;
  if (item.repository === undefined) return `ls -lA ${shellWord(item.path)}`;
  const looks = [
    item.losses.length > 0 || item.problem ? `${git} status` : "",
    item.commitsOnlyHere > 0 ? `${git} log HEAD --not --remotes` : "",
  ];
  return looks.filter(Boolean).join("; ") || `${git} log`;
}

const NAMES: Record<Leftover["kind"], (item: Leftover) => string> = {
  session: ({ name }) => name,
  folder: ({ name }) => `folder ${name}`,
  clone: ({ name }) => `clone of ${name}`,
  branches: ({ name }) => `branches of ${name}`,
  branch: ({ name }) => `branch ${name}`,
};

/** What it is called in the list. */
export function nameLeftover(item: Leftover): string {
  return cleanLine(showUnseen(NAMES[item.kind](item)), 200);
}

/**
 * The list, in groups: what holds nothing that would be lost, what does, and how many are at work.
 * @param options.width cells of the terminal's line; undefined for no limit
 */
export function renderLeftovers(
  items: readonly Numbered[],
  { bytes, isWhole }: Pick<Leftovers, "bytes" | "isWhole">,
  options: { now: number; olderThanMs: number; width: number | undefined },
): string {
  const { now, olderThanMs, width } = options;
  const shown = items.filter(({ inUse }) => !inUse);
  const rows = shown.map((item) => ({
    item,
    cells: [
      `${item.suggested ? "*" : " "} ${item.number}`,
      shorten(nameLeftover(item), 40),
      item.bytes > 0 ? tellSize(item.bytes, item.isWhole) : "",
      item.usedAt === undefined ? "" : tellSpan(now - item.usedAt),
      cleanLine(showUnseen(tellHolding(item))),
    ],
  }));
  const heads = ["  #", "NAME", "SIZE", "AGE", "STATE"];
  const widths = heads.map((head, at) =>
    Math.max(...[head, ...rows.map(({ cells }) => cells[at] ?? "")].map(measure)),
  );
  const line = (cells: readonly string[]) => {
    const text = cells
      .map((cell, at) => (at === cells.length - 1 ? cell : pad(cell, widths[at] ?? 0)))
      .join("  ");
    return (width === undefined ? text : shorten(text, width)).trimEnd();
  };
  const group = (title: string, safe: boolean) => {
    const some = rows.filter(({ item }) => item.safe === safe);
    return some.length > 0 ? [title, ...some.map(({ cells }) => line(cells)), ""] : [];
  };
  const suggested = shown.filter((one) => one.suggested);
  const working = items.length - shown.length;
  const atWork = working === 1 ? "1 session is at work" : `${working} sessions are at work`;
  const whole = (some: readonly Leftover[]) =>
    tellSize(
      some.reduce((sum, one) => sum + one.bytes, 0),
      some.every((one) => one.isWhole),
    );
  return [
    ...(shown.length > 0 ? [line(heads)] : []),
    ...group("Nothing would be lost:", true),
    ...group("Only there; named one by one:", false),
    ...(working > 0 ? [`${atWork} and left alone.`] : []),
    `Workspaces and clones take ${tellSize(bytes, isWhole)}. Suggested (*: not used for ${tellSpan(olderThanMs)}, ` +
      `nothing would be lost): ${suggested.length}, ${whole(suggested)}.`,
  ].join("\n");
}
