import type { Leftover, LeftoverRemoval, Leftovers } from "../../api/work-types.js";
import type { WorkflowsApi } from "../../api/workflows-api.js";
import { shellWord } from "../../shared/shell-word.js";
import { cleanLine } from "../../shared/text.js";
import {
  type Numbered,
  nameLeftover,
  renderLeftovers,
  tellHolding,
  tellHowToLook,
  tellSize,
} from "./render-leftovers.js";

export interface CleanOptions {
  api: Pick<WorkflowsApi, "listLeftovers" | "removeLeftover" | "removeMergedBranch">;
  /** What has been used since is not suggested, in ms. */
  olderThanMs: number;
  /** Removes what is suggested without asking. */
  yes: boolean;
  /** Only shows. */
  dryRun: boolean;
  json: boolean;
  /** Undefined where nobody can answer. */
  ask: ((question: string) => Promise<boolean>) | undefined;
  askLine: ((question: string) => Promise<string>) | undefined;
  /** Nothing more is removed once it has fired. */
  signal: AbortSignal;
  out: (text: string) => void;
  width: number | undefined;
  /** Epoch ms. */
  now: number;
}

/** A clone is free to go once its last session is, and the branches of a clone may be. */
const MAX_PASSES = 3;

/** What was removed, for programs. */
type Removed = LeftoverRemoval & { id: string; name: string };

/**
 * Shows what sessions have left on the disk, and removes what the person names. What is nowhere else is removed only
 * when it is named by its own number, after a question about it alone.
 * @returns the exit code: 1 when something was not removed that should be, or when nobody could be asked
 * @throws ApiError when it cannot be read
 */
export async function cleanInTerminal(options: CleanOptions): Promise<number> {
  const { api, yes, dryRun, json, out, askLine } = options;
  const tell = (text: string) => json || out(`${text}\n`);
  const before = await api.listLeftovers();
  const removed: Removed[] = [];
  const only = dryRun || (json && !yes);
  let found = number(before, options);
  if (found.length === 0 && before.mergedBranches.length === 0) {
    tell(`Nothing to clean. Workspaces and clones take ${tellSize(before.bytes, before.isWhole)}.`);
    if (json) out(toJson(before, found, options, removed, before));
    return 0;
  }
  tell(renderLeftovers(found, before, options));
  const allAtWork = found.every(({ inUse }) => inUse) && before.mergedBranches.length === 0;
  if (only || allAtWork) {
    if (!json) tellMerged(before, tell);
    else out(toJson(before, found, options, removed, before));
    return 0;
  }
  if (!yes && !askLine) {
    tell(
      "Nobody can be asked here. Nothing was removed. --yes removes what is suggested, --dry-run only shows.",
    );
    return 1;
  }
  const chosen = yes ? found.filter((one) => one.suggested) : await choose(found, options);
  let failed = await removeAll(chosen, removed, options, tell);
  let after = removed.length > 0 ? await api.listLeftovers() : before;
  for (let pass = 1; pass < MAX_PASSES && removed.length > 0 && !options.signal.aborted; pass++) {
    const known = new Set(found.map(({ id }) => id));
    found = number(after, options);
    const freed = found.filter((one) => one.suggested && one.kind !== "session" && !known.has(one.id));
    if (freed.length === 0) break;
    const names = freed.map(
      (one) => `  ${nameLeftover(one)}${one.bytes > 0 ? `, ${tellSize(one.bytes)}` : ""}`,
    );
    tell(`Used by no session now:\n${names.join("\n")}`);
    if (!yes && !(await options.ask?.("Remove it, too?"))) break;
    failed = (await removeAll(freed, removed, options, tell)) || failed;
    after = await api.listLeftovers();
  }
  failed = (await offerMerged(after, options, tell)) || failed;
  const sizes = `${tellSize(before.bytes, before.isWhole)} before, ${tellSize(after.bytes, after.isWhole)} now`;
  tell(
    removed.length > 0
      ? `Removed: ${removed.length}. Workspaces and clones: ${sizes}.`
      : "Nothing was removed.",
  );
  if (json) out(toJson(before, number(after, options), options, removed, after));
  return failed ? 1 : 0;
}

/** In the order in which they are shown, with their numbers. */
function number({ items }: Leftovers, { olderThanMs, now }: CleanOptions): Numbered[] {
  const rank = ({ safe, kind }: Leftover) => (safe ? 0 : 10) + KINDS.indexOf(kind);
  const isOld = ({ usedAt }: Leftover) => usedAt === undefined || now - usedAt >= olderThanMs;
  return items
    .filter(({ inUse }) => !inUse)
    .sort((a, b) => rank(a) - rank(b) || (a.usedAt ?? 0) - (b.usedAt ?? 0))
    .concat(items.filter(({ inUse }) => inUse))
    .map((item, at) => ({ ...item, number: at + 1, suggested: item.safe && !item.inUse && isOld(item) }));
}

const KINDS: readonly Leftover["kind"][] = ["session", "folder", "clone", "branches", "branch"];

/** Asks which. What is nowhere else is asked about once more, each by itself. */
async function choose(found: readonly Numbered[], options: CleanOptions): Promise<Numbered[]> {
  const { askLine, ask, out } = options;
  if (found.every(({ inUse }) => inUse)) return [];
  for (;;) {
    const line = await askLine?.('Remove which? Numbers ("1 3-5"), "all" for those with *, Enter for none: ');
    const answer = line?.trim().toLowerCase() ?? "";
    if (["", "n", "no", "none", "q"].includes(answer) || options.signal.aborted) return [];
    const picked = readChoice(answer, found);
    if (typeof picked === "string") {
      out(`${picked}\n`);
      continue;
    }
    const sure: Numbered[] = [];
    for (const one of picked) {
      if (one.safe) sure.push(one);
      else {
        out(`${describeLoss(one)}\n`);
        if (await ask?.(`Remove ${nameLeftover(one)} for good?`)) sure.push(one);
      }
    }
    return sure;
  }
}

/** What a line of numbers means, or what is wrong with it. */
function readChoice(answer: string, found: readonly Numbered[]): Numbered[] | string {
  const picked = new Set<Numbered>();
  const free = found.filter(({ inUse }) => !inUse);
  for (const word of answer.split(/[\s,]+/).filter(Boolean)) {
    const [, from, to] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(word) ?? [];
    if (word === "all") for (const one of free.filter(({ suggested }) => suggested)) picked.add(one);
    else if (from === undefined) return `"${cleanLine(word, 40)}" is no number.`;
    else if (to === undefined) {
      const one = free.find((each) => each.number === Number(from));
      if (!one) return `There is no number ${from}.`;
      picked.add(one);
    } else {
      const some = free.filter((each) => each.number >= Number(from) && each.number <= Number(to));
      if (some.length === 0) return `There is nothing with the numbers ${word}.`;
      const risky = some.filter(({ safe }) => !safe).map((each) => each.number);
      if (risky.length > 0)
        return `What is only there is named one by one, not in a range: ${risky.join(", ")}.`;
      for (const one of some) picked.add(one);
    }
  }
  return [...picked];
}

/** What goes with it, and how one looks at it first. */
function describeLoss(one: Leftover): string {
  return [
    `${nameLeftover(one)}: ${tellHolding(one)}.`,
    ...one.commits.map((commit) => `  ${commit}`),
    ...one.losses.map((loss) => `  it has ${loss}`),
    `  To look: ${tellHowToLook(one, shellWord)}`,
  ].join("\n");
}

/** @returns whether something was not removed */
async function removeAll(
  chosen: readonly Numbered[],
  removed: Removed[],
  { api, signal }: CleanOptions,
  tell: (text: string) => void,
): Promise<boolean> {
  let failed = false;
  for (const one of chosen) {
    if (signal.aborted) break;
    const name = nameLeftover(one);
    try {
      const done = await api.removeLeftover({ id: one.id, mark: one.mark, name }, !one.safe);
      failed ||= done.errors.length > 0;
      removed.push({ id: one.id, name, ...done });
      const more = [done.lost, done.kept, ...done.errors].filter((text) => text !== undefined);
      tell(
        `${done.errors.length > 0 ? "Not removed" : "Removed"}: ${name}.${more.length > 0 ? ` ${more.join(" ")}` : ""}`,
      );
    } catch (error) {
      failed = true;
      tell(`Not removed: ${name}. ${(error as Error).message}`);
    }
  }
  return failed;
}

/** Branches in the person's own repositories: told, and removed after a question of their own. */
async function offerMerged(
  found: Leftovers,
  { api, ask, yes, signal }: CleanOptions,
  tell: (text: string) => void,
): Promise<boolean> {
  if (found.mergedBranches.length === 0 || signal.aborted) return false;
  tellMerged(found, tell);
  if (
    yes ||
    !ask ||
    !(await ask("Delete these branches in your repositories? All of them are merged there."))
  )
    return false;
  let failed = false;
  for (const one of found.mergedBranches)
    try {
      await api.removeMergedBranch(one);
      tell(`Deleted: ${one.branch}, which stood at ${one.commit.slice(0, 10)}.`);
    } catch (error) {
      failed = true;
      tell((error as Error).message);
    }
  return failed;
}

function tellMerged({ mergedBranches }: Leftovers, tell: (text: string) => void): void {
  const repositories = new Set(mergedBranches.map(({ repository }) => repository));
  for (const repository of repositories) {
    const own = mergedBranches.filter((one) => one.repository === repository);
    tell(`\nMerged branches of sessions in ${cleanLine(repository)}:`);
    for (const { branch, into } of own) tell(`  ${cleanLine(branch)}, merged into ${cleanLine(into)}`);
    const names = own.map(({ branch }) => shellWord(branch)).join(" ");
    tell(`  git -C ${shellWord(repository)} branch -d ${names}`);
  }
}

function toJson(
  before: Leftovers,
  items: readonly Numbered[],
  { olderThanMs }: CleanOptions,
  removed: readonly Removed[],
  after: Leftovers,
): string {
  const told = items.map((one) => ({
    id: one.id,
    kind: one.kind,
    name: one.name,
    path: one.path,
    repository: one.repository,
    bytes: one.bytes,
    bytes_whole: one.isWhole,
    used_at: one.usedAt === undefined ? undefined : new Date(one.usedAt).toISOString(),
    in_use: one.inUse,
    state: tellHolding(one),
    merged_into: one.isDelivered || one.isUntouched ? undefined : one.heldBy,
    delivered_as: one.isDelivered ? one.heldBy : undefined,
    commits_only_here: one.commitsOnlyHere,
    uncommitted_files: one.files,
    losses: one.losses,
    problem: one.problem,
    safe: one.safe,
    suggested: one.suggested,
  }));
  const answer = {
    older_than_s: Math.round(olderThanMs / 1000),
    items: told,
    merged_branches: after.mergedBranches.map(({ repository, branch, into }) => ({
      repository,
      branch,
      into,
    })),
    removed: removed.map(({ id, name, kept, lost, errors }) => ({ id, name, kept, lost, errors })),
    bytes_before: before.bytes,
    bytes: after.bytes,
  };
  return `${JSON.stringify(answer, null, 2)}\n`;
}
