import { isFinal, type Run } from "../api/types.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import { visibleName } from "../shared/text.js";
import { isRefused, mergeRecords, toRecord } from "./run-record.js";
import type { RunRecord, SessionRecord } from "./store/session-record.js";
import type { Session } from "./types.js";

/** Status of a run that the API has said it does not know (any more). */
export const LOST = "lost";

/** For sorting runs by their start, oldest first. */
export function byStart(a: RunRecord, b: RunRecord): number {
  return (a.startedAt ?? a.updatedAt) - (b.startedAt ?? b.updatedAt);
}

/** True when a session has no name of its own yet, only the id of one of its runs. */
export function isNameless(session: { name: string; runs: readonly RunRecord[] }): boolean {
  return session.runs.some((run) => run.runId === session.name);
}

/** True when all that there is of a session are starts that have come to nothing: it has no conversation. */
export function hasNeverRun(session: { runs: readonly RunRecord[] }): boolean {
  return session.runs.length > 0 && session.runs.every((run) => run.neverStarted);
}

/**
 * The sessions of the index and those of the API's list as one list, newest first.
 * @param latest the newest snapshot of a watched run
 * @param isLost whether the API has said that it does not know the run
 */
export function mergeSessions(
  records: readonly SessionRecord[],
  listed: readonly Run[],
  latest: (runId: string) => Run | undefined = () => undefined,
  isLost: (runId: string) => boolean = () => false,
): Session[] {
  const sessions = new Map<string, Session>();
  const holders = new Map<string, { session: Session; run: RunRecord }>();
  const byId = new Map<string, Session>();

  function addRun(session: Session, run: RunRecord): void {
    const known = holders.get(run.runId);
    if (known) Object.assign(known.run, mergeRecords(known.run, run));
    else {
      holders.set(run.runId, { session, run });
      session.runs.push(run);
    }
    // Before a run has shown its conversation, that which it was to continue tells where it belongs.
    for (const id of [run.sessionId, run.resumes]) if (id && !byId.has(id)) byId.set(id, session);
  }

  function open(key: string, name: string): Session {
    const session = sessions.get(key) ?? { key, name, runs: [], updatedAt: 0 };
    sessions.set(key, session);
    return session;
  }

  for (const record of [...records].sort((a, b) => a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1))) {
    // Two processes may have begun a record each for one conversation.
    const ids = [
      record.sessionId,
      ...record.runs.map((run) => run.sessionId),
      ...record.runs.map((run) => run.resumes),
    ];
    const twin = ids.map((id) => id && byId.get(id)).find((session) => session);
    const session = twin || open(record.key, record.name);
    for (const run of record.runs) addRun(session, { ...run });
    adopt(session, record);
    if (record.sessionId && !byId.has(record.sessionId)) byId.set(record.sessionId, session);
  }
  // Oldest first, so that runs of one moment keep their order.
  for (const run of listed.toReversed()) {
    const name = run.sessionName ?? run.runId;
    const session =
      holders.get(run.runId)?.session ??
      (run.sessionId ? byId.get(run.sessionId) : undefined) ??
      (run.resumes ? byId.get(run.resumes) : undefined) ??
      // Without an id to go by, runs that others started under one name are taken as one session.
      open(run.sessionId ? `id:${run.sessionId}` : `name:${visibleName(name)}`, name);
    addRun(session, toRecord(run, run.completedAt ?? run.startedAt ?? 0));
    if (isNameless(session)) session.name = name;
    adopt(session, run);
  }
  for (const session of sessions.values()) settle(session, latest, isLost);
  const all = [...sessions.values()];
  const names = new Set(all.filter((session) => !hasNeverRun(session)).map((session) => session.name));
  // A start that came to nothing is found by its name until somebody else has that.
  const shown = all.filter((session) => !hasNeverRun(session) || !names.has(session.name));
  return shown.sort((a, b) => b.updatedAt - a.updatedAt || (a.key < b.key ? -1 : 1));
}

/**
 * What sessions of this name are put together from: whatever bears it to the eye, and, over any number of steps, whatever
 * shares a run or a conversation with that, with the ids of those. Merged alone it gives the same sessions of this
 * name as everything does.
 */
export function selectRelated(
  name: string,
  records: readonly SessionRecord[],
  listed: readonly Run[],
): { records: SessionRecord[]; listed: Run[]; ids: string[] } {
  const wanted = visibleName(name);
  const related = new Set<SessionRecord | Run>();
  const ids = new Set<string>();
  const isHeld = (id: string | undefined) => id !== undefined && ids.has(id);
  /** Of thousands of runs hardly any is related, so nothing is made of those that are not. */
  function take(isOne: (record: SessionRecord) => boolean, isListed: (run: Run) => boolean): boolean {
    const before = related.size;
    const found = [
      ...records.filter((record) => !related.has(record) && isOne(record)),
      ...listed.filter((run) => !related.has(run) && isListed(run)),
    ];
    for (const one of found) {
      related.add(one);
      const own = "runs" in one ? [one.sessionId, ...one.runs.flatMap(idsOf)] : idsOf(one);
      for (const id of own) if (id) ids.add(id);
    }
    return related.size > before;
  }
  const bears = (ownName: string) => ownName === wanted || visibleName(ownName) === wanted;
  let isMore = take(
    (record) => bears(record.name),
    (run) => bears(run.sessionName ?? run.runId),
  );
  // Each round takes what shares an id with what was taken before it.
  while (isMore) {
    isMore = take(
      ({ sessionId, runs }) => isHeld(sessionId) || runs.some((run) => idsOf(run).some(isHeld)),
      (run) => idsOf(run).some(isHeld),
    );
  }
  return {
    records: records.filter((record) => related.has(record)),
    listed: listed.filter((run) => related.has(run)),
    ids: [...ids],
  };
}

function idsOf({ runId, sessionId, resumes }: Pick<Run, "runId" | "sessionId" | "resumes">) {
  return [runId, sessionId, resumes];
}

/** Takes over what the session does not know yet. */
function adopt(
  session: Session,
  from: {
    sessionId?: string | undefined;
    sessionClaimed?: true;
    repositoryUrl?: string | undefined;
    gitBranch?: string | undefined;
  },
): void {
  const { sessionId, repositoryUrl, gitBranch } = from;
  if (sessionId && !from.sessionClaimed && !session.sessionId) session.sessionId = sessionId;
  if (repositoryUrl && !session.repositoryUrl) session.repositoryUrl = repositoryUrl;
  if (gitBranch && !session.gitBranch) session.gitBranch = gitBranch;
}

function settle(
  session: Session,
  latest: (runId: string) => Run | undefined,
  isLost: (runId: string) => boolean,
): void {
  for (const run of session.runs) {
    const live = latest(run.runId);
    if (live) Object.assign(run, mergeRecords(run, toRecord(live, run.updatedAt)));
    if (!isFinal(run.status) && isLost(run.runId)) run.status = LOST;
    // Not when it was last written or looked at: an old session that is looked at stays an old one.
    session.updatedAt = Math.max(session.updatedAt, run.completedAt ?? run.startedAt ?? run.updatedAt);
  }
  session.runs.sort(byStart);
  const id = resumableId(session);
  if (id) session.sessionId = id;
  else delete session.sessionId;
}

/** The id with which the session goes on, by what became of its runs. */
function resumableId(session: Session): string | undefined {
  if (hasNeverRun(session)) return undefined;
  let id = session.sessionId;
  for (const run of session.runs) {
    const { resumes } = run;
    if (isRefused(run)) id = id === resumes ? undefined : id;
    else if (tellConversationEnd(run)) id = undefined;
    // The public server may give every run of a conversation an id of its own: the newest one goes on.
    else if (run.sessionId) id = run.sessionId;
    // It took a turn, so the conversation is there, though the run has shown no id.
    else if (resumes && run.turns) id ??= resumes;
  }
  return id;
}
