import * as z from "zod";
import { cleanLine, cleanText } from "../../shared/text.js";
import type { RunPullRequest, Work } from "../types.js";
import type { DiscardReport, PullRequestSight, TakeReport, WorkDiff, WorkHead } from "../work-types.js";
import { address, compact, count, flag, line, lines, number, record, text, texts } from "./fields.js";

export const diffWire = z.looseObject({ diff: z.string(), cut: flag, branch: text, base_branch: text });
export const headWire = z.looseObject({ branch: text, head_commit: text });
export const takenWire = z.looseObject({
  taken: z.boolean(),
  into: text,
  commit: text,
  message: text,
  conflicts: texts,
  had_all: flag,
  check: z
    .looseObject({
      command: z.string(),
      passed: z.boolean(),
      exit_code: number,
      timed_out: flag,
      seconds: number,
      output: text,
      cut: flag,
    })
    .nullish()
    .catch(undefined),
});
export const discardedWire = z.looseObject({ removed: texts, lost: texts, kept: texts, errors: texts });

export function toWorkDiff(wire: z.output<typeof diffWire>): WorkDiff {
  return compact<WorkDiff>({
    text: cleanText(wire.diff),
    cut: wire.cut === true,
    branch: line(wire.branch, 250),
    baseBranch: line(wire.base_branch, 250),
  });
}

/** A check's output is cut to this length, in characters. */
const OUTPUT_LIMIT = 8_000;

export function toWorkHead(wire: z.output<typeof headWire>): WorkHead {
  return compact<WorkHead>({ branch: line(wire.branch, 250), headCommit: line(wire.head_commit, 64) });
}

export function toTakeReport(wire: z.output<typeof takenWire>): TakeReport {
  const { check } = wire;
  return compact<TakeReport>({
    taken: wire.taken,
    into: line(wire.into, 250),
    commit: line(wire.commit, 64),
    message: line(wire.message, 2_000),
    conflicts: lines(wire.conflicts),
    hadAll: wire.had_all === true ? true : undefined,
    check: check
      ? compact<NonNullable<TakeReport["check"]>>({
          command: cleanLine(check.command, 500),
          passed: check.passed,
          exitCode: count(check.exit_code),
          timedOut: check.timed_out === true,
          seconds: check.seconds ?? undefined,
          output: cleanText(check.output ?? "", OUTPUT_LIMIT),
          cut: check.cut === true,
        })
      : undefined,
  });
}

export function toDiscardReport(wire: z.output<typeof discardedWire>): DiscardReport {
  const { removed, lost, kept, errors } = wire;
  return { removed: lines(removed), lost: lines(lost), kept: lines(kept), errors: lines(errors) };
}

/** Commits that are kept; of more the number is told. */
const MAX_COMMITS = 50;
const PLACES: readonly Work["deliveredTo"][] = ["repository", "remote", "engine"];

function toOwn(wire: unknown): Work["own"] {
  const { commit, files, insertions, deletions } = (wire ?? {}) as Record<string, unknown>;
  const id = line(commit, 64);
  return id === undefined
    ? undefined
    : {
        commit: id,
        files: count(files) ?? 0,
        insertions: count(insertions) ?? 0,
        deletions: count(deletions) ?? 0,
      };
}

/** The work of a run as a status tells it; undefined where it says nothing that can be used. */
export function toWork(wire: Record<string, unknown> | null | undefined): Work | undefined {
  const branch = line(wire?.branch, 250);
  const deliveredTo = PLACES.find((place) => place === wire?.delivered_to);
  if (!wire || branch === undefined || deliveredTo === undefined) return undefined;
  const commits = (Array.isArray(wire.commits) ? wire.commits : []).slice(0, MAX_COMMITS).flatMap((one) => {
    const id = line(one?.id, 64);
    return id === undefined ? [] : [{ id, title: line(one?.title, 200) ?? "" }];
  });
  return compact<Work>({
    branch,
    baseBranch: line(wire.base_branch, 250),
    baseCommit: line(wire.base_commit, 64),
    headCommit: line(wire.head_commit, 64),
    commits,
    commitCount: count(wire.commit_count) ?? commits.length,
    files: count(wire.files),
    insertions: count(wire.insertions),
    deletions: count(wire.deletions),
    deliveredTo,
    where: address(wire.where),
    mergedInto: line(wire.merged_into, 250),
    problem: line(wire.problem, 2_000),
    uncommitted: wire.uncommitted === true ? true : undefined,
    own: toOwn(wire.own),
    worktree: line(wire.worktree, 2_000),
  });
}

const STATES: readonly RunPullRequest["state"][] = ["pending", "open", "pushed", "failed"];
/** What strangers have written is cut to this length, in characters. */
const STRANGERS_LIMIT = 4_000;

/** The pull request of a run as a status tells it; undefined where it says nothing that can be used. */
export function toPullRequest(wire: Record<string, unknown> | null | undefined): RunPullRequest | undefined {
  const state = STATES.find((one) => one === wire?.state);
  if (!wire || state === undefined) return undefined;
  return compact<RunPullRequest>({
    state,
    url: webAddress(wire.url),
    number: count(wire.number),
    branch: line(wire.branch, 250),
    base: line(wire.base, 250),
    commit: line(wire.commit, 64),
    isDraft: typeof wire.draft === "boolean" ? wire.draft : undefined,
    problem: line(wire.problem, 1_000),
  });
}

/** An address that can be followed in a browser, and nothing else. */
function webAddress(value: unknown): string | undefined {
  const text = address(value);
  return text && /^https?:\/\/[^\s"'<>()]+$/.test(text) ? text : undefined;
}

export const askedPullRequestWire = z.looseObject({ pull_request: record });

export const pullRequestSightWire = z.looseObject({
  url: text,
  number,
  state: text,
  draft: flag,
  head_commit: text,
  own_branch: flag,
  checks: text,
  running: number,
  failed: texts,
  reviews: texts,
  notes: texts,
});

const MAX_POINTS = 100;

export function toPullRequestSight(wire: z.output<typeof pullRequestSightWire>): PullRequestSight {
  const objects = (value: unknown) =>
    (Array.isArray(value) ? value : [])
      .slice(0, MAX_POINTS)
      .filter((one): one is Record<string, unknown> => typeof one === "object" && one !== null);
  const said = (value: unknown) =>
    typeof value === "string" ? cleanText(value, STRANGERS_LIMIT).trim() : "";
  return compact<PullRequestSight>({
    url: webAddress(wire.url),
    number: count(wire.number),
    state: line(wire.state, 20),
    isDraft: wire.draft === true,
    headCommit: line(wire.head_commit, 64),
    isOwnBranch: wire.own_branch !== false,
    checks: line(wire.checks, 20),
    running: count(wire.running) ?? 0,
    failed: objects(wire.failed).map((one) =>
      compact<PullRequestSight["failed"][number]>({
        name: line(one.name, 120) ?? "a check",
        conclusion: line(one.conclusion, 40) ?? "failure",
        url: webAddress(one.url),
        output: said(one.output) || undefined,
      }),
    ),
    reviews: objects(wire.reviews).map((one) =>
      compact<PullRequestSight["reviews"][number]>({
        path: line(one.path, 300),
        line: count(one.line),
        comments: objects(one.comments).map((comment) =>
          compact<PullRequestSight["reviews"][number]["comments"][number]>({
            author: line(comment.author, 60) ?? "somebody",
            at: line(comment.at, 40),
            text: said(comment.text),
          }),
        ),
      }),
    ),
    notes: lines(wire.notes),
  });
}
