import type { FastMCP, FastMCPSession } from "fastmcp";
import type { Services } from "../actions/define-action.js";
import {
  resources,
  runIdOf,
  runUri,
  SESSIONS_URI,
  templates,
  WORKFLOWS_URI,
} from "../resources/resources.js";
import type { Complete } from "../services/complete.js";
import { createPaced } from "../services/paced.js";
import { bareRun } from "../services/runs.js";
import { isFinal, type Run } from "../upstream/types.js";
import { observeSubscriptions } from "./session-hook.js";

/** At most two updates a second for each resource. */
const UPDATE_PAUSE_MS = 500;
/** Nobody looks through more than this, and each change of the list goes to every client. */
const MAX_LISTED = 50;
/** The protocol hands out at most this many values. */
const MAX_VALUES = 100;

/**
 * Publishes the resources, keeps subscribers informed by what the feed sees, and lists each run that is going on
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
  for (const template of templates) {
    const { name, description, completes } = template.argument;
    server.addResourceTemplate({
      uriTemplate: template.uriTemplate,
      name: template.name,
      description: template.description,
      mimeType: template.name === "run" ? "application/json" : "text/plain",
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

  const { feed, sessions, catalogue } = services;
  const updates = createPaced<string>(services.clock, UPDATE_PAUSE_MS, (uri) => {
    void server.sendResourceUpdated(uri).catch(() => {});
  });
  const listed = new Set<string>();

  /** Runs going on are listed one by one, so that a client can offer them; each change notifies the clients. */
  function list(run: Run): void {
    const name = `run ${run.runId}`;
    if (!isFinal(run.status) && !listed.has(run.runId) && listed.size < MAX_LISTED) {
      listed.add(run.runId);
      server.addResource({
        uri: runUri(run.runId),
        name,
        description: [run.workflowName, run.sessionName].filter(Boolean).join(", "),
        mimeType: "application/json",
        load: () =>
          templates.find((one) => one.name === "run")?.read(encodeURIComponent(run.runId), services) ??
          Promise.resolve([]),
      });
    } else if (isFinal(run.status) && listed.delete(run.runId)) {
      server.removeResource(name);
    }
  }

  const stopEvents = feed.onEvent((event) => {
    updates.touch(runUri(event.run.runId));
    if (event.type === "finished") updates.touch(`${runUri(event.run.runId)}/result`);
    list(event.type === "lost" ? { ...event.run, status: "failed" } : event.run);
    if (event.type === "status" || event.type === "finished") updates.touch(SESSIONS_URI);
  });
  const stopSessions = sessions.onChange(() => updates.touch(SESSIONS_URI));
  const stopCatalogue = catalogue.onChange(() => updates.touch(WORKFLOWS_URI));

  const watches = new Map<FastMCPSession, Map<string, () => void>>();
  server.on("connect", ({ session }) => {
    const own = new Map<string, () => void>();
    watches.set(session, own);
    observeSubscriptions(session, (uri, subscribed) => {
      const runId = runIdOf(uri);
      if (!runId) return;
      // A run that nobody waits for is watched for the sake of its subscriber.
      if (subscribed && !own.has(uri)) {
        const watch = feed.watch(feed.latest(runId) ?? bareRun(runId), () => {});
        own.set(uri, () => watch.stop());
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
    stopSessions();
    stopCatalogue();
    updates.close();
    for (const own of watches.values()) for (const stop of own.values()) stop();
    watches.clear();
  };
}

/** The framework's form of a completion; more than a hundred values are counted, not sent. */
export async function completeValues(complete: Complete, kind: Parameters<Complete>[0], typed: string) {
  const values = await complete(kind, typed);
  return { values: values.slice(0, MAX_VALUES), total: values.length, hasMore: values.length > MAX_VALUES };
}
