import type * as z from "zod";
import { cleanLine, cleanText } from "../../shared/text.js";
import { NotNow } from "../delivery-error.js";
import { type CallGithub, GithubRefused } from "./call-github.js";
import { pathOf } from "./github.js";
import type { RepositoryName } from "./repository-name.js";
import { checkRunsWire, jobsWire, statusesWire, workflowRunsWire } from "./wire.js";

/** A check that has failed. All texts are untrusted: whatever ran there has written them. */
export interface FailedCheck {
  name: string;
  /** `failure`, `timed_out` … */
  conclusion: string;
  url?: string;
  /** The end of what it wrote, or what it says of itself. */
  output?: string;
}

/** How the checks of a commit stand. */
export interface Checks {
  state: "none" | "running" | "passed" | "failed";
  failed: FailedCheck[];
  /** How many are still going on. */
  running: number;
  /** What could not be read, as a sentence for a person. */
  note?: string;
}

const PER_PAGE = 100;
/** GitHub itself has no more check runs of a commit than a thousand. */
const MAX_PAGES = 10;
/** Of so many failed checks what they wrote is read. */
const LOGS_READ = 5;
/** Of a log the end is looked at. */
const LOG_CHARS = 256 * 1024;
const OUTPUT_CHARS = 3_000;
/** Neither a failure nor something that a commit could mend. */
const FINE = ["success", "neutral", "skipped", "stale"];
const NO_CHECK_RUNS =
  "The token cannot read check runs (fine-grained tokens never can), so this is what Actions and commit statuses tell: " +
  "checks of other apps are not among it.";

/** @throws Refused, NotNow */
export async function readChecks(
  call: CallGithub,
  repository: RepositoryName,
  commit: string,
  signal?: AbortSignal,
): Promise<Checks> {
  const read = await readCheckRuns(call, repository, commit, signal).catch((error) => {
    if (!(error instanceof GithubRefused) || (error.status !== 403 && error.status !== 404)) throw error;
    return undefined;
  });
  const found = read ?? (await readActions(call, repository, commit, signal));
  const statuses = await readStatuses(call, repository, commit, signal);
  const all = [...found, ...statuses.checks];
  const failed = all.filter(({ conclusion }) => conclusion !== undefined && !FINE.includes(conclusion));
  const running = all.filter(({ conclusion }) => conclusion === undefined).length;
  const state = failed.length > 0 ? "failed" : running > 0 ? "running" : all.length > 0 ? "passed" : "none";
  const notes = [...(read ? [] : [NO_CHECK_RUNS]), ...(statuses.note ? [statuses.note] : [])];
  return {
    state,
    running,
    failed: await Promise.all(
      failed.map((one, index) => tellFailed(call, repository, one, index < LOGS_READ, signal)),
    ),
    ...(notes.length > 0 ? { note: notes.join(" ") } : {}),
  };
}

/** A check as it is found; `conclusion` is missing while it goes on. */
interface FoundCheck {
  name: string;
  conclusion: string | undefined;
  url?: string | undefined;
  /** Of Actions: its log can be read. */
  job?: number;
  summary?: string;
}

async function readCheckRuns(
  { json }: CallGithub,
  repository: RepositoryName,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<FoundCheck[]> {
  const path = `${pathOf(repository)}/commits/${commit}/check-runs`;
  const found: z.output<typeof checkRunsWire>["check_runs"] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const query = { per_page: PER_PAGE, filter: "latest", page };
    const { check_runs, total_count } = await json({ method: "GET", path, query, signal }, checkRunsWire);
    found.push(...check_runs);
    if (check_runs.length === 0 || found.length >= (total_count ?? 0)) break;
  }
  return found.map(({ id, name, status, conclusion, html_url, details_url, app, output }) => ({
    name,
    conclusion: concluded(status, conclusion),
    url: html_url ?? details_url ?? undefined,
    // The job of Actions has the same id as its check run.
    ...(app?.slug === "github-actions" ? { job: id } : {}),
    summary: [output?.title, output?.summary].filter(Boolean).join("\n"),
  }));
}

async function readActions(
  { json }: CallGithub,
  repository: RepositoryName,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<FoundCheck[]> {
  const path = `${pathOf(repository)}/actions/runs`;
  const query = { head_sha: commit, per_page: PER_PAGE };
  const { workflow_runs } = await json({ method: "GET", path, query, signal }, workflowRunsWire);
  const jobs = await Promise.all(
    workflow_runs
      .slice(0, 20)
      .map(({ id }) =>
        json({ method: "GET", path: `${path}/${id}/jobs`, query: { per_page: PER_PAGE }, signal }, jobsWire),
      ),
  );
  return jobs
    .flatMap((one) => one.jobs)
    .map(({ id, name, status, conclusion, html_url }) => ({
      name,
      conclusion: concluded(status, conclusion),
      url: html_url ?? undefined,
      job: id,
    }));
}

async function readStatuses(
  { json }: CallGithub,
  repository: RepositoryName,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<{ checks: FoundCheck[]; note?: string }> {
  const path = `${pathOf(repository)}/commits/${commit}/status`;
  let wire: z.output<typeof statusesWire>;
  try {
    wire = await json({ method: "GET", path, query: { per_page: PER_PAGE }, signal }, statusesWire);
  } catch (error) {
    if (!(error instanceof GithubRefused)) throw error;
    return { checks: [], note: "The token cannot read commit statuses." };
  }
  const conclusions: Record<string, string | undefined> = {
    success: "success",
    failure: "failure",
    error: "failure",
  };
  return {
    checks: wire.statuses.map(({ context, state, description, target_url }) => ({
      name: context ?? "status",
      conclusion: conclusions[state ?? ""],
      url: target_url ?? undefined,
      summary: description ?? "",
    })),
  };
}

function concluded(
  status: string | null | undefined,
  conclusion: string | null | undefined,
): string | undefined {
  return status === "completed" ? (conclusion ?? "unknown") : undefined;
}

async function tellFailed(
  call: CallGithub,
  repository: RepositoryName,
  { name, conclusion = "", url, job, summary = "" }: FoundCheck,
  readsLog: boolean,
  signal: AbortSignal | undefined,
): Promise<FailedCheck> {
  const log = job !== undefined && readsLog ? await readLog(call, repository, job, signal) : "";
  const output = endOf(log) || cleanText(summary, OUTPUT_CHARS).trim();
  return {
    name: cleanLine(name, 120),
    conclusion: cleanLine(conclusion, 40),
    ...(url ? { url: cleanLine(url, 300) } : {}),
    ...(output ? { output } : {}),
  };
}

/** Without its log a failed job is told all the same. */
async function readLog(
  call: CallGithub,
  repository: RepositoryName,
  job: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = `${pathOf(repository)}/actions/jobs/${job}/logs`;
  try {
    return await call.text({ method: "GET", path, signal });
  } catch (error) {
    if (error instanceof GithubRefused || error instanceof NotNow) return "";
    throw error;
  }
}

/** The lines around the last error of a log of Actions, without the times in front of them. */
function endOf(log: string): string {
  const lines = cleanText(log.slice(-LOG_CHARS))
    .split("\n")
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z ?/, ""));
  const last = lines.findLastIndex((line) => line.startsWith("##[error]"));
  // What follows the last error is cleaning up.
  const text = (last < 0 ? lines : lines.slice(0, last + 1)).join("\n").trim();
  return text.length > OUTPUT_CHARS ? `…${text.slice(-(OUTPUT_CHARS - 1))}` : text;
}
