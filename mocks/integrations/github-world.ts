import { execFileSync } from "node:child_process";
import { createExamples, type Schemas } from "./github-examples.js";

/** What somebody has written in the simulated GitHub. */
interface Written {
  author: string;
  body: string;
}

export interface SimulatedPull {
  number: number;
  title: string;
  body: string;
  head: string;
  base: string;
  draft: boolean;
  state: "open" | "closed";
  author: string;
}

export interface SimulatedCheck {
  name: string;
  /** Null while it goes on. */
  conclusion: string | null;
  /** What its job has written; without it, it is no job of Actions. */
  log?: string;
  summary?: string;
}

interface Thread {
  path: string;
  line: number;
  isResolved: boolean;
  /** How its authors belong to the repository; COLLABORATOR unless told. */
  association?: "OWNER" | "MEMBER" | "COLLABORATOR" | "CONTRIBUTOR" | "NONE";
  comments: Written[];
}

const REPO = "/repos/{owner}/{repo}";
const AT = "2026-11-30T10:00:00Z";

const example = createExamples();

/** One repository of the simulated GitHub. Its answers are the vendor's examples, with what is known here put in. */
export class SimulatedRepository {
  readonly issues = new Map<number, Written & { title: string; state: "open" | "closed" }>();
  readonly comments = new Map<number, Written & { id: number; issue: number }>();
  readonly pulls = new Map<number, SimulatedPull>();
  readonly checks = new Map<string, (SimulatedCheck & { id: number })[]>();
  readonly statuses = new Map<string, { context: string; state: string; description: string }[]>();
  readonly reviews = new Map<number, (Written & { state: string })[]>();
  readonly threads = new Map<number, Thread[]>();
  /** Drafts are refused, as in private repositories without a plan that has them. */
  refusesDrafts = false;
  private nextId = 1;

  constructor(
    readonly owner: string,
    readonly name: string,
    private readonly options: {
      url: () => string;
      webHost: () => string;
      /** A bare repository, whose branches are those of this one. */
      bare?: string | undefined;
      defaultBranch?: string | undefined;
      isPrivate?: boolean | undefined;
      archived?: boolean | undefined;
    },
  ) {}

  get fullName(): string {
    return `${this.owner}/${this.name}`;
  }

  addIssue(issue: { title: string; body: string; author?: string }): number {
    const number = this.takeNumber();
    this.issues.set(number, { author: "alice", state: "open", ...issue });
    return number;
  }

  addComment(issue: number, comment: Written): number {
    const id = 1_000 + this.nextId++;
    this.comments.set(id, { ...comment, id, issue });
    return id;
  }

  addCheck(commit: string, check: SimulatedCheck): void {
    const known = this.checks.get(commit) ?? [];
    this.checks.set(commit, [...known, { ...check, id: 5_000 + this.nextId++ }]);
  }

  addReview(pull: number, review: Written & { state: string }): void {
    this.reviews.set(pull, [...(this.reviews.get(pull) ?? []), review]);
  }

  addThread(pull: number, thread: Thread): void {
    this.threads.set(pull, [...(this.threads.get(pull) ?? []), thread]);
  }

  addPull(pull: Omit<SimulatedPull, "number" | "state">): number {
    const number = this.takeNumber();
    this.pulls.set(number, { ...pull, number, state: "open" });
    return number;
  }

  private takeNumber(): number {
    return this.nextId++;
  }

  /** Where a branch stands in the bare repository; undefined when it has none. */
  headOf(branch: string): string | undefined {
    if (this.options.bare === undefined) return "0".repeat(40);
    try {
      const args = ["-C", this.options.bare, "rev-parse", "--verify", "--quiet", `refs/heads/${branch}`];
      return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      return undefined;
    }
  }

  /** Whether the branch has commits that the other one has not. */
  isAhead(head: string, base: string): boolean {
    if (this.options.bare === undefined) return true;
    const args = ["-C", this.options.bare, "rev-list", "--count", `refs/heads/${base}..refs/heads/${head}`];
    return Number(execFileSync("git", args, { encoding: "utf8" }).trim()) > 0;
  }

  repository(): Schemas["full-repository"] {
    const [owner, name] = [this.owner, this.name];
    const base = example<Schemas["full-repository"]>("get", REPO);
    const web = `https://${this.options.webHost()}/${owner}/${name}`;
    return {
      ...base,
      name,
      full_name: this.fullName,
      private: this.options.isPrivate ?? false,
      archived: this.options.archived ?? false,
      default_branch: this.options.defaultBranch ?? "main",
      owner: { ...base.owner, login: owner },
      html_url: web,
      clone_url: `${web}.git`,
      ssh_url: `git@${this.options.webHost().replace(/:\d+$/, "")}:${owner}/${name}.git`,
    };
  }

  issue(number: number): Schemas["issue"] | undefined {
    const issue = this.issues.get(number);
    const pull = this.pulls.get(number);
    const found = issue ?? pull;
    if (!found) return undefined;
    const base = example<Schemas["issue"]>("get", `${REPO}/issues/{issue_number}`);
    const { pull_request, ...plain } = base;
    return {
      ...plain,
      ...(pull ? { pull_request: pull_request as NonNullable<typeof pull_request> } : {}),
      number,
      title: found.title,
      body: found.body,
      state: found.state,
      user: this.user(found.author),
      created_at: AT,
      comments: this.commentsOf(number).length,
      html_url: `https://${this.options.webHost()}/${this.fullName}/${pull ? "pull" : "issues"}/${number}`,
    };
  }

  commentsOf(issue: number): Schemas["issue-comment"][] {
    return [...this.comments.values()]
      .filter((one) => one.issue === issue)
      .map((one) => this.comment(one.id));
  }

  comment(id: number): Schemas["issue-comment"] {
    const { author, body, issue } = this.comments.get(id) as Written & { issue: number };
    return {
      ...example<Schemas["issue-comment"]>("post", `${REPO}/issues/{issue_number}/comments`),
      id,
      body,
      user: this.user(author),
      created_at: AT,
      html_url: `https://${this.options.webHost()}/${this.fullName}/issues/${issue}#issuecomment-${id}`,
    };
  }

  pull(number: number): Schemas["pull-request"] {
    const pull = this.pulls.get(number) as SimulatedPull;
    const base = example<Schemas["pull-request"]>("post", `${REPO}/pulls`);
    const { title, body, draft, state, author } = pull;
    return {
      ...base,
      ...{ number, title, body, draft, state },
      merged_at: null,
      merged: false,
      user: { ...base.user, login: author },
      html_url: `https://${this.options.webHost()}/${this.fullName}/pull/${number}`,
      head: {
        ...base.head,
        ref: pull.head,
        sha: this.headOf(pull.head) ?? "",
        label: `${this.owner}:${pull.head}`,
      },
      base: { ...base.base, ref: pull.base },
    };
  }

  pullSimple(number: number): Schemas["pull-request-simple"] {
    const whole = this.pull(number);
    const [base] = example<Schemas["pull-request-simple"][]>("get", `${REPO}/pulls`);
    const { title, body, draft, state, html_url, merged_at } = whole;
    const { head } = whole;
    return {
      ...(base as Schemas["pull-request-simple"]),
      ...{ number, title, body, state, html_url, merged_at },
      ...(draft === undefined ? {} : { draft }),
      head: {
        ...(base as Schemas["pull-request-simple"]).head,
        ref: head.ref,
        sha: head.sha,
        label: head.label,
      },
      base: { ...(base as Schemas["pull-request-simple"]).base, ref: whole.base.ref },
    };
  }

  checkRuns(commit: string): { total_count: number; check_runs: Schemas["check-run"][] } {
    type Answer = { total_count: number; check_runs: Schemas["check-run"][] };
    const [base] = example<Answer>("get", `${REPO}/commits/{ref}/check-runs`).check_runs;
    const runs = (this.checks.get(commit) ?? []).map(({ id, name, conclusion, log, summary }) => ({
      ...(base as Schemas["check-run"]),
      ...{ id, name, head_sha: commit },
      status: conclusion === null ? ("in_progress" as const) : ("completed" as const),
      conclusion: conclusion as Schemas["check-run"]["conclusion"],
      output: {
        ...(base as Schemas["check-run"]).output,
        title: summary ?? null,
        summary: summary ?? null,
        text: null,
      },
      app: {
        ...(base as Schemas["check-run"]).app,
        slug: log === undefined ? "another-app" : "github-actions",
      } as Schemas["check-run"]["app"],
    }));
    return { total_count: runs.length, check_runs: runs };
  }

  status(commit: string): Schemas["combined-commit-status"] {
    const base = example<Schemas["combined-commit-status"]>("get", `${REPO}/commits/{ref}/status`);
    const [one] = base.statuses;
    const statuses = (this.statuses.get(commit) ?? []).map((status) => ({
      ...(one as Schemas["simple-commit-status"]),
      ...status,
    }));
    return { ...base, sha: commit, statuses, total_count: statuses.length };
  }

  workflowRuns(commit: string): { total_count: number; workflow_runs: Schemas["workflow-run"][] } {
    type Answer = { total_count: number; workflow_runs: Schemas["workflow-run"][] };
    const answer = example<Answer>("get", `${REPO}/actions/runs`);
    const has = (this.checks.get(commit) ?? []).some(({ log }) => log !== undefined);
    const [run] = answer.workflow_runs;
    const runs = has ? [{ ...(run as Schemas["workflow-run"]), id: 77, head_sha: commit }] : [];
    return { total_count: runs.length, workflow_runs: runs };
  }

  /** The jobs of the only run of Actions that there is. */
  jobs(): { total_count: number; jobs: Schemas["job"][] } {
    const { jobs } = example<{ jobs: Schemas["job"][] }>("get", `${REPO}/actions/runs/{run_id}/jobs`);
    const all = [...this.checks.values()].flat().filter(({ log }) => log !== undefined);
    const told = all.map(({ id, name, conclusion }) => ({
      ...(jobs[0] as Schemas["job"]),
      ...{ id, name },
      status: conclusion === null ? ("in_progress" as const) : ("completed" as const),
      conclusion: conclusion as Schemas["job"]["conclusion"],
    }));
    return { total_count: told.length, jobs: told };
  }

  log(job: number): string | undefined {
    return [...this.checks.values()].flat().find(({ id }) => id === job)?.log;
  }

  reviewsOf(pull: number): Schemas["pull-request-review"][] {
    const [base] = example<Schemas["pull-request-review"][]>("get", `${REPO}/pulls/{pull_number}/reviews`);
    return (this.reviews.get(pull) ?? []).map(({ author, body, state }, index) => ({
      ...(base as Schemas["pull-request-review"]),
      ...{ id: index + 1, body, state },
      user: this.user(author),
      submitted_at: AT,
    }));
  }

  reviewComments(pull: number): Schemas["pull-request-review-comment"][] {
    type Comment = Schemas["pull-request-review-comment"];
    const [base] = example<Comment[]>("get", `${REPO}/pulls/{pull_number}/comments`);
    let id = 100;
    return (this.threads.get(pull) ?? []).flatMap(({ path, line, comments }) => {
      const first = ++id;
      const { in_reply_to_id: _none, ...plain } = base as Comment;
      return comments.map(({ author, body }, index) => ({
        ...plain,
        ...{ id: index === 0 ? first : ++id, path, line, body, position: 1 },
        ...(index === 0 ? {} : { in_reply_to_id: first }),
        user: this.user(author) as Comment["user"],
      }));
    });
  }

  /**
   * As GraphQL answers the query of `src/integrations/github/wire.ts`.
   * @param page the last so many, or those before the place of that name
   */
  reviewThreads(pull: number, page: { last: number; before?: unknown }): unknown {
    const all = this.threads.get(pull) ?? [];
    const end = typeof page.before === "string" ? Number(page.before.replace("before-", "")) : all.length;
    const from = Math.max(0, end - page.last);
    const shown = all.slice(from, end);
    return {
      pageInfo: { hasPreviousPage: from > 0, startCursor: shown.length > 0 ? `before-${from}` : null },
      nodes: shown.map(({ path, line, isResolved, association = "COLLABORATOR", comments }) => ({
        isResolved,
        path,
        line,
        comments: {
          nodes: comments.map(({ author, body }) => ({
            body,
            createdAt: AT,
            authorAssociation: association,
            author: { __typename: "User", login: author },
          })),
        },
      })),
    };
  }

  private user(login: string): Schemas["nullable-simple-user"] {
    const [base] = example<Schemas["issue-comment"][]>("get", `${REPO}/issues/{issue_number}/comments`);
    return { ...(base as Schemas["issue-comment"]).user, login } as Schemas["nullable-simple-user"];
  }
}

export { example };
