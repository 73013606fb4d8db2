import { createHash } from "node:crypto";
import { ApiRefusal } from "./refusal.js";
import type { Commit, RunState, Script, TakeReport, TakeRequest, WorkState } from "./types.js";

/** A session's branch, and where it began. */
interface SessionBranch {
  repository: Map<string, Commit[]>;
  branch: string;
  baseBranch: string;
  /** How many of the branch's commits its base had. */
  based: number;
  mergedInto: string | null;
}

/**
 * Branches of sessions as plain data: each repository is a list of commits for each branch, oldest first. Nothing of
 * it is on a disk, and conflicts are only those that a scenario asks for.
 */
export function createBranches() {
  const repositories = new Map<string, Map<string, Commit[]>>();
  const sessions = new Map<string, SessionBranch>();
  let count = 0;

  function makeCommit(branch: string, title: string): Commit {
    count++;
    return { id: createHash("sha1").update(`${branch}\n${count}\n${title}`).digest("hex"), title };
  }

  function repositoryAt(address: string | null): Map<string, Commit[]> {
    const known = repositories.get(address ?? "");
    if (known) return known;
    const made = new Map([["main", [makeCommit("main", "Begin")]]]);
    repositories.set(address ?? "", made);
    return made;
  }

  /** The session's branch; the first run of a session makes it. @returns why there is none, as an API words it */
  function begin(state: RunState, script: Pick<Script, "ownWorkspace">): string | undefined {
    if (sessions.has(state.sessionId)) return undefined;
    const repository = repositoryAt(state.repositoryUrl);
    const from = state.body.start_from ?? state.gitBranch ?? "main";
    const base = repository.get(from);
    if (base === undefined && state.body.start_from) return `The repository has no branch ${from}.`;
    const words = state.sessionName.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const own = `automagik/${words.slice(0, 60)}-${state.sessionId.slice(0, 8)}`;
    const isOwn = script.ownWorkspace !== false;
    const commits = base ?? [makeCommit(from, "Begin")];
    const branch = isOwn ? own : from;
    repository.set(branch, isOwn ? [...commits] : commits);
    const session = { repository, branch, baseBranch: from, based: commits.length, mergedInto: null };
    sessions.set(state.sessionId, session);
    return undefined;
  }

  /** Puts commits on the session's branch. @param ids of commits that have some; left out, they get their own */
  function commit(
    sessionId: string,
    title: string,
    ids: readonly (string | undefined)[] = [undefined],
  ): void {
    const session = sessions.get(sessionId);
    if (!session) return;
    const made = ids.map((id) => ({
      ...makeCommit(session.branch, title),
      ...(id === undefined ? {} : { id }),
    }));
    session.repository.get(session.branch)?.push(...made);
    if (made.length > 0) session.mergedInto = null;
  }

  /** What the session's branch has beyond its base; null when that is nothing. */
  function workOf(sessionId: string): WorkState | null {
    const session = sessions.get(sessionId);
    const commits = session?.repository.get(session.branch)?.slice(session.based) ?? [];
    const head = commits.at(-1);
    if (!session || !head) return null;
    const { branch, baseBranch, mergedInto } = session;
    return { branch, baseBranch, headCommit: head.id, commits: commits.toReversed(), mergedInto };
  }

  /** Merges a session's branch. @throws {ApiRefusal} where there is nothing to be merged */
  function take(state: RunState, request: TakeRequest, scenario: Script["take"] = {}): TakeReport {
    const session = sessions.get(state.sessionId);
    if (!session || !workOf(state.sessionId))
      throw new ApiRefusal(409, "The session has no commits of its own. Nothing was merged.");
    const { repository, branch, baseBranch } = session;
    const own = repository.get(branch) ?? [];
    const into = request.into?.trim() || baseBranch;
    const there = repository.get(into);
    const report = { into, conflicts: [], commit: null, hadAll: false, check: null };
    const refuse = (message: string) => ({
      ...report,
      taken: false,
      message: `Nothing was merged: ${message}`,
    });
    if (!there && !request.new_branch) return refuse(`there is no branch ${into}.`);
    const target = there ?? own.slice(0, session.based);
    const known = new Set(target.map(({ id }) => id));
    const missing = own.filter(({ id }) => !known.has(id));
    if (missing.length === 0)
      return { ...refuse(`${into} has all of it.`), hadAll: true, commit: target.at(-1)?.id ?? null };
    const { conflicts = [], checkFails } = scenario;
    if (conflicts.length > 0)
      return { ...refuse("both have changed the same files."), conflicts: [...conflicts] };
    const check =
      request.check === undefined
        ? null
        : { command: request.check, passed: checkFails === undefined, output: checkFails ?? "" };
    if (check && !check.passed) return { ...refuse("the check did not pass."), check };
    const merge = makeCommit(into, request.squash ? state.message : `Merge ${branch}`);
    repository.set(into, [...target, ...(request.squash ? [] : missing), merge]);
    session.mergedInto = into;
    return { ...report, taken: true, commit: merge.id, check, message: `Merged into ${into}.` };
  }

  return { begin, commit, workOf, take };
}
