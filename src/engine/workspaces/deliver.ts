import { shellWord } from "../../shared/shell-word.js";
import type { Clone } from "./clones.js";
import type { GitRunner } from "./git-runner.js";
import { readableBranch } from "./names.js";
import { createPersonRepository } from "./person-repository.js";
import { isDiverged, mayMoveTo, pushCommit } from "./push.js";
import { isOwnBranch, type SessionRecord } from "./records.js";
import { createRefs } from "./refs.js";
import type { OpenedLocal, Repository } from "./repository.js";
import { type Work, WorkspaceError } from "./types.js";

/** Where a session's commits are now. */
export type Delivery = Pick<Work, "branch" | "deliveredTo" | "where" | "problem">;

/** What is to be delivered, and where to. */
export interface DeliveryRequest {
  repository: Repository;
  clone: Clone;
  record: SessionRecord;
  commit: string;
  /** The branch that has the commits in the clone, or their id. */
  from: string;
  pushAllowed: boolean;
  /** It is pushed by itself, for a pull request. */
  publishes: boolean;
  /** Of a remote: the branch that nothing but a merge changes. */
  keptBranch: string | undefined;
}

/** Names that are tried for one session. */
const MAX_NAMES = 9;

/**
 * Brings a session's commits to where the person looks: into a local repository, or to a remote where pushing is
 * allowed. Only forward, on the session's branch or, where that has other commits or is checked out, on another name.
 * @returns where they are, which is the engine's clone when nothing else could be had, with the reason
 * @throws WorkspaceError when git was stopped or cannot tell
 */
export async function deliverWork(git: GitRunner, request: DeliveryRequest): Promise<Delivery> {
  const { repository, clone, from } = request;
  // Some hosts open a request only with the push that brings something new.
  if (!repository.local && request.publishes)
    return { branch: from, deliveredTo: "engine", where: clone.at.clone };
  if (!repository.local && !request.pushAllowed)
    return keep(request, "Nothing was pushed, because ENGINE_PUSH is off", pushBy(request));
  try {
    const opened = await repository.open?.();
    try {
      return await deliverTo(git, request, opened);
    } finally {
      await opened?.close();
    }
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
    return repository.local
      ? deliverNowhere(request, error.message)
      : keep(request, `The push was refused: ${error.message}`, pushBy(request));
  }
}

/** What is told of a local repository that takes nothing, or is not there any more. */
export function deliverNowhere(
  request: Pick<DeliveryRequest, "clone" | "record" | "from">,
  why: string,
): Delivery {
  const { clone, from, record } = request;
  const name = nameByHand(record, from);
  const fetch = `git fetch ${shellWord(clone.at.clone)} ${shellWord(`${from}:${name}`)}`;
  return keep(request, `It was not delivered: ${why}`, `In the repository \`${fetch}\` brings it there.`);
}

function keep({ clone, from }: Pick<DeliveryRequest, "clone" | "from">, why: string, next: string): Delivery {
  const problem = `${why.replace(/[.\s]+$/, "")}. ${next}`;
  return { branch: from, deliveredTo: "engine", where: clone.at.clone, problem };
}

function pushBy({ clone, from, record }: DeliveryRequest): string {
  const name = nameByHand(record, from);
  const place = shellWord(clone.at.clone);
  return `\`git -C ${place} push origin ${shellWord(`${from}:refs/heads/${name}`)}\` pushes it.`;
}

/** The name for a command of the person's: never that of a branch that the work only began at, such as `main`. */
function nameByHand(record: SessionRecord, from: string): string {
  return namesFor(record, from).find((name) => name !== record.baseBranch) ?? from;
}

/** The names under which a session's commits are delivered: the first that can be had counts. */
function namesFor(record: SessionRecord, from: string): string[] {
  const { branch = from, sessionName } = record;
  const own = isOwnBranch(record, branch) ? branch : readableBranch(sessionName ?? branch);
  const others = Array.from({ length: MAX_NAMES - 1 }, (_, index) => `${own}-${index + 2}`);
  return [...new Set([branch, own, ...others])];
}

/** @throws WorkspaceError with the reason why none of the names could be had */
async function deliverTo(
  git: GitRunner,
  request: DeliveryRequest,
  opened: OpenedLocal | undefined,
): Promise<Delivery> {
  const { repository, clone, record, commit, from } = request;
  const person = opened && createPersonRepository(git, opened);
  const names = namesFor(record, from);
  const refs = createRefs(git, clone.at);
  const there = await person?.branches(names);
  const holders = await person?.checkedOut();
  const passed: string[] = [];
  for (const name of names) {
    const now = person ? there?.get(name) : await refs.remote(name);
    const hasAll = now === commit || (now !== undefined && (await mayMoveTo(git, clone, commit, now)));
    if (hasAll) return delivered(request, name, passed);
    const why = await whyNot(name, now);
    if (why === undefined) {
      const link = await person?.linkInTheWay(name);
      if (link !== undefined)
        throw new WorkspaceError(`${link} in its git folder is a link, and nothing is written through links`);
      const refusal = await pushCommit(git, clone, { repository, opened, branch: name, commit });
      if (refusal === undefined) return delivered(request, name, passed);
      if (!isDiverged(refusal) && !isCheckedOut(refusal)) throw new WorkspaceError(refusal);
      passed.push(`${name} ${isDiverged(refusal) ? "has other commits" : "is checked out"}`);
    } else passed.push(`${name} ${why}`);
  }
  throw new WorkspaceError(passed.join(", "));

  async function whyNot(name: string, now: string | undefined): Promise<string | undefined> {
    const holder = holders?.get(name);
    if (holder !== undefined) return `is checked out in ${holder}`;
    if (!person && name === request.keptBranch) return "is the repository's default branch";
    const hasOthers = now !== undefined && !(await mayMoveTo(git, clone, now, commit));
    return hasOthers ? "has other commits" : undefined;
  }
}

/** Git refuses a branch that is being rebased as well, which its list of worktrees does not show. */
function isCheckedOut(refusal: string): boolean {
  return /checked out/i.test(refusal);
}

function delivered({ repository }: DeliveryRequest, branch: string, passed: readonly string[]): Delivery {
  return {
    branch,
    deliveredTo: repository.local ? "repository" : "remote",
    where: repository.address,
    ...(passed.length > 0 && { problem: `${passed.join(", ")}, so the commits are on ${branch}.` }),
  };
}
