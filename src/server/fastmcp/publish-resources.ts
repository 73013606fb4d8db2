import type { FastMCP, FastMCPSession } from "fastmcp";
import type { Services } from "../../actions/define-action.js";
import type { Run } from "../../api/types.js";
import { isOver } from "../../sessions/sessions.js";
import type { Session } from "../../sessions/types.js";
import { setBounded } from "../../shared/bounded-map.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Complete } from "../completions.js";
import { createResourceUpdates } from "../resource-updates.js";
import { resources, runUri, SESSIONS_URI, templates } from "../resources.js";
import { createPaced } from "../throttle-by-key.js";
import { showsWidgets } from "../tools/apps.js";
import { widgetResource } from "../widget-resource.js";
import { observeSubscriptions, prepareRequests, refineResources } from "./session-hook.js";

/** At most two changes of the list a second: every client then reads it. */
const LIST_PAUSE_MS = 500;
/** Nobody looks through more than this, and each change of the list goes to every client. */
const MAX_LISTED = 50;
/** A reading of all sessions may be some seconds old, in ms: a run seen since then may be missing from it. */
const READING_AGE_MS = 10_000;
/** How long a list of resources may wait for updates of what is on it, in ms. */
const LIST_BUDGET_MS = 1_000;
/** Runs known to be in the list, or too old for it. */
const SEEN_KEPT = 2_000;
/** The protocol hands out at most this many values. */
const MAX_VALUES = 100;

/**
 * Publishes the resources, keeps subscribers informed by what the watcher sees, and lists each run that is going on
 * while it does. Must be called before the first session.
 * @returns stops informing
 */
export function publishResources(server: FastMCP, services: Services, complete: Complete): () => void {
  for (const resource of resources) {
    server.addResource({
      uri: resource.uri,
      name: resource.name,
      description: resource.description,
      mimeType: "application/json",
      load: () => resource.read(services),
    });
  }
  server.addResource({
    uri: widgetResource.uri,
    name: widgetResource.name,
    description: widgetResource.description,
    mimeType: widgetResource.mimeType,
    load: () => widgetResource.read(services),
  });
  for (const template of templates) {
    const { name, description, completes } = template.argument;
    server.addResourceTemplate({
      uriTemplate: template.uriTemplate,
      name: template.name,
      description: template.description,
      mimeType: template.mimeType,
      arguments: [
        {
          name,
          description,
          required: true,
          complete: (typed) => completeValues(complete, completes, typed),
        },
      ],
      load: (args: Record<string, string>) => template.read(args[name] ?? "", services),
    });
  }

  const { watcher, sessions, clock } = services;
  const updates = createResourceUpdates(services, (uri) => {
    void server.sendResourceUpdated(uri).catch(() => {});
  });
  const runs = createListedRuns(server, services);

  const seen = new Map<string, true>();
  /** What is to be taken into the list, by run id. */
  const changed = new Map<string, SeenRun>();
  const listUpdates = createPaced<"runs">(clock, LIST_PAUSE_MS, takeChanged);
  function takeChanged(): void {
    // A run that has ended makes room for one that was too old for the list before.
    if (runs.see([...changed.values()])) seen.clear();
    for (const runId of changed.keys()) setBounded(seen, runId, true, SEEN_KEPT);
    changed.clear();
  }
  const stopEvents = watcher.onEvent(({ type, run }) => {
    // Turns go by fast, and change nothing in the list.
    if (!(type === "turn" || type === "action" || type === "activity") || !seen.has(run.runId)) {
      changed.set(run.runId, toSeen(run, type === "lost" || isOver(run)));
      listUpdates.touch("runs");
    }
  });

  /** Of a run that nobody watches, and of other people's, only a reading tells that it has begun or ended. */
  function seeSessions(read: readonly Session[], complete: boolean): void {
    const all = read.flatMap(({ name, runs }) =>
      runs.map((run) => ({ ...run, sessionName: name, over: isOver(run) })),
    );
    if (!runs.see(all, complete)) return;
    seen.clear();
    updates.touch(SESSIONS_URI);
  }
  // Whoever reads them, so that nothing has to read for the sake of the list by the clock.
  const stopReadings = sessions.onRead(seeSessions);

  /** What has ended unseen is taken off before the list is given. */
  async function refreshList(): Promise<void> {
    // One that was just started may not have been asked for yet.
    for (const run of watcher.watched()) {
      const isKnown = run.status !== "unknown" && !isOver(run);
      if (isKnown && !changed.has(run.runId)) changed.set(run.runId, toSeen(run));
    }
    takeChanged();
    if (runs.count() === 0) return;
    await withDeadline(clock, LIST_BUDGET_MS, () => sessions.all()).catch(() => {});
  }

  const watches = new Map<FastMCPSession, Map<string, () => void>>();
  server.on("connect", ({ session }) => {
    const own = new Map<string, () => void>();
    watches.set(session, own);
    prepareRequests(session, "resources/list", refreshList);
    refineResources(
      session,
      ({ uri }) => uri !== widgetResource.uri || showsWidgets(session.server.getClientCapabilities()),
    );
    observeSubscriptions(session, (uri, subscribed) => {
      if (subscribed && !own.has(uri)) {
        const stop = updates.watchFor(uri);
        if (stop) own.set(uri, stop);
      } else if (!subscribed) {
        own.get(uri)?.();
        own.delete(uri);
      }
    });
  });
  server.on("disconnect", ({ session }) => {
    for (const stop of watches.get(session as FastMCPSession)?.values() ?? []) stop();
    watches.delete(session as FastMCPSession);
  });

  return () => {
    stopEvents();
    stopReadings();
    updates.close();
    listUpdates.close();
    for (const own of watches.values()) for (const stop of own.values()) stop();
    watches.clear();
  };
}

/** A run as a list of resources tells of it. */
interface SeenRun {
  runId: string;
  workflowName: string;
  sessionName?: string | undefined;
  startedAt?: number | undefined;
  over: boolean;
}

function toSeen({ runId, workflowName, sessionName, startedAt }: Run, over = false): SeenRun {
  return { runId, workflowName, sessionName, startedAt, over };
}

/**
 * The runs going on, listed one by one so that a client can offer them; each change notifies the clients. Of very
 * many the newest are listed, so that a new one always finds its place.
 */
function createListedRuns(server: FastMCP, services: Services) {
  const { clock } = services;
  const listed = new Map<string, { run: SeenRun; startedAt: number; seenAt: number }>();
  const nameOf = (runId: string) => `run ${runId}`;

  function toResource({ runId, workflowName, sessionName }: SeenRun) {
    return {
      uri: runUri(runId),
      name: nameOf(runId),
      description: [workflowName, sessionName].filter(Boolean).join(", "),
      mimeType: "application/json",
      load: () =>
        templates.find((one) => one.name === "run")?.read(encodeURIComponent(runId), services) ??
        Promise.resolve([]),
    };
  }

  return {
    count: () => listed.size,
    /**
     * Takes note of runs and tells whether the list has changed.
     * @param complete these are all there are, as of some seconds ago
     */
    see(seen: readonly SeenRun[], complete = false): boolean {
      const seenAt = clock.elapsed();
      const next = new Map(listed);
      for (const run of seen) {
        const startedAt = run.startedAt ?? listed.get(run.runId)?.startedAt ?? clock.now();
        if (run.over) next.delete(run.runId);
        else next.set(run.runId, { run, startedAt, seenAt });
      }
      if (complete) {
        const there = new Set(seen.map((run) => run.runId));
        for (const [runId, known] of next) {
          if (!there.has(runId) && seenAt - known.seenAt >= READING_AGE_MS) next.delete(runId);
        }
      }
      const kept = new Map([...next].sort(([, a], [, b]) => b.startedAt - a.startedAt).slice(0, MAX_LISTED));
      const gone = [...listed.keys()].filter((runId) => !kept.has(runId));
      const fresh = [...kept.values()].filter(({ run }) => !listed.has(run.runId));
      listed.clear();
      for (const [runId, entry] of kept) listed.set(runId, entry);
      if (gone.length > 0) server.removeResources(gone.map(nameOf));
      if (fresh.length > 0) server.addResources(fresh.map(({ run }) => toResource(run)));
      return gone.length + fresh.length > 0;
    },
  };
}

/** The framework's form of a completion; more than a hundred values are counted, not sent. */
export async function completeValues(complete: Complete, kind: Parameters<Complete>[0], typed: string) {
  const values = await complete(kind, typed);
  return { values: values.slice(0, MAX_VALUES), total: values.length, hasMore: values.length > MAX_VALUES };
}
