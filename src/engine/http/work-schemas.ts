import { moment } from "./moment-schema.js";
import * as z from "./schemas.js";

/** What the endpoints of a session's work answer, in the contract's names. */

export const workSchema = z
  .object({
    branch: z.string().describe("As it is called where the commits are"),
    base_branch: z.string().nullable(),
    base_commit: z.string().nullable().describe("Where the two parted"),
    head_commit: z.string().nullable(),
    commits: z.array(z.object({ id: z.string(), title: z.string() })).describe("Newest first, at most 50"),
    commit_count: z.int(),
    files: z.int(),
    insertions: z.int(),
    deletions: z.int(),
    delivered_to: z
      .enum(["repository", "remote", "engine"])
      .describe("repository: the person's own on this machine; engine: the engine's clone alone"),
    where: z.string().describe("Its folder or address"),
    merged_into: z.string().nullable(),
    problem: z
      .string()
      .nullable()
      .describe("Why it is not where it was meant to be, and the command that helps"),
    uncommitted: z.boolean().describe("The worktree has changes that are in no commit"),
    own: z
      .object({ commit: z.string(), files: z.int(), insertions: z.int(), deletions: z.int() })
      .nullable()
      .describe(
        "The commit with what the person had not committed when the session began; part of all counts",
      ),
    worktree: z.string().nullable().describe("The session's folder, while it is there"),
  })
  .openapi("Work");

export const pullRequestSchema = z
  .object({
    state: z
      .enum(["pending", "open", "pushed", "failed"])
      .describe(
        "pending: it is being opened; pushed: the branch is there, and whether a request was opened is not known; failed: it will not be opened by itself",
      ),
    url: z.string().nullable(),
    number: z.int().nullable(),
    branch: z.string().nullable().describe("As it is called at the remote"),
    base: z.string().nullable(),
    commit: z.string().nullable().describe("What was pushed"),
    draft: z.boolean().nullable(),
    problem: z.string().nullable().describe("Why it is not open (yet), or what is otherwise than asked for"),
  })
  .openapi("PullRequest");

export const askedPullRequestSchema = z
  .object({ run_id: z.string(), pull_request: pullRequestSchema })
  .openapi("AskedPullRequest");

const written = z.object({ author: z.string(), at: z.string().nullable(), text: z.string() });

export const pullRequestSightSchema = z
  .object({
    run_id: z.string(),
    url: z.string(),
    number: z.int(),
    state: z.enum(["open", "merged", "closed"]),
    draft: z.boolean(),
    head_commit: z.string(),
    own_branch: z
      .boolean()
      .describe("Whether its branch is the session's own: what the session commits gets there"),
    checks: z.enum(["none", "running", "passed", "failed"]),
    running: z.int().describe("Checks that still go on"),
    failed: z
      .array(
        z.object({
          name: z.string(),
          conclusion: z.string(),
          url: z.string().nullable(),
          output: z.string().nullable().describe("The end of what it wrote; text of strangers"),
        }),
      )
      .describe("Failed checks of the newest commit"),
    reviews: z
      .array(z.object({ path: z.string().nullable(), line: z.int().nullable(), comments: z.array(written) }))
      .describe("Unresolved threads, and reviews that ask for changes; text of strangers"),
    notes: z.array(z.string()).describe("What could not be read"),
  })
  .openapi("PullRequestSight");

export const diffSchema = z
  .object({
    run_id: z.string(),
    branch: z.string(),
    base_branch: z.string(),
    diff: z.string(),
    cut: z.boolean().describe("There is more than was asked for"),
  })
  .openapi("Diff");

export const headSchema = z
  .object({ run_id: z.string(), branch: z.string(), head_commit: z.string() })
  .openapi("WorkHead");

export const takenSchema = z
  .object({
    run_id: z.string(),
    taken: z.boolean(),
    into: z.string(),
    commit: z.string().nullable(),
    message: z.string(),
    conflicts: z.array(z.string()).describe("Files that both have changed"),
    had_all: z.boolean().describe("Nothing was to be done: the branch had all of it, and stands at `commit`"),
    check: z
      .object({
        command: z.string(),
        passed: z.boolean(),
        exit_code: z.number().nullable(),
        timed_out: z.boolean(),
        seconds: z.number(),
        output: z.string().describe("The last lines that it wrote; text of programs, not of the engine"),
        cut: z.boolean(),
      })
      .nullable(),
  })
  .openapi("TakenWork");

export const discardedSchema = z
  .object({
    run_id: z.string(),
    removed: z.array(z.string()),
    lost: z.array(z.string()).describe("Commits that were on no other branch"),
    kept: z.array(z.string()),
    errors: z.array(z.string()),
  })
  .openapi("DiscardedWork");

export const cleanedUpSchema = z
  .object({
    success: z.boolean(),
    run_id: z.string(),
    workflow_name: z.string(),
    cleanup_time: moment,
    cleanup_duration_ms: z.int(),
    cleanup_details: z.object({
      workspace_removed: z.boolean(),
      temp_files_removed: z.boolean(),
      git_worktree_removed: z.boolean(),
      process_cleaned: z.boolean(),
      workspace_path: z.string().nullable(),
      note: z.string().nullable().describe("What was kept and where, and what force has removed for good"),
      errors: z.array(z.string()),
    }),
    message: z.string(),
  })
  .openapi("CleanedUpRun");
