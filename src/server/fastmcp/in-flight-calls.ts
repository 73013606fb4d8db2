import { fileURLToPath } from "node:url";
import { ErrorCode, McpError, type Progress } from "@modelcontextprotocol/sdk/types.js";
import type { FastMCPSession } from "fastmcp";
import * as z from "zod";
import type { Call } from "../../actions/define-action.js";
import { whileFollowing } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { createFormClient } from "../tools/form-client.js";
import type { ToolResult } from "../tools/output.js";
import { createProgress } from "../tools/progress.js";
import { currentScope } from "./session-hook.js";

/** The parts of the framework's call context that a call is made of. */
interface FrameworkContext {
  signal: AbortSignal;
  client: { version: { name?: string } | undefined };
  reportProgress(progress: Progress): Promise<void>;
}

/** What a client answers to a form; what is in it is looked at field by field. */
const formAnswer = z.looseObject({
  action: z.string(),
  content: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((content) => content ?? undefined),
});

/** The calls in flight, so that a stopping server can answer them first. */
export interface InFlightCalls {
  /** Serves one call: gives the handler what it may know, and sees to progress until the answer. */
  serve(context: unknown, handle: (call: Call) => Promise<ToolResult>): Promise<ToolResult>;
  /** Makes every call in flight answer now. Resolves when they have, or after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** How long the client may take to tell its folders, in ms. */
const ROOTS_TIMEOUT_MS = 2_000;

/** The folders on this machine that a client names; none of one that has no such thing. @throws when it does not answer */
export async function listRoots(
  server: FastMCPSession["server"],
  until: AbortSignal,
  related: { relatedRequestId?: string | number } = {},
): Promise<string[]> {
  if (!server.getClientCapabilities()?.roots) return [];
  const { roots } = await whileFollowing(until, (own) =>
    server.listRoots(undefined, { timeout: ROOTS_TIMEOUT_MS, signal: own, ...related }),
  );
  return roots.flatMap(({ uri }) => (uri.startsWith("file:") ? [fileURLToPath(uri)] : []));
}

export function createInFlightCalls(options: { clock: Clock; elicitationTimeoutMs: number }): InFlightCalls {
  const { clock } = options;
  const stopping = new AbortController();
  const active = new Set<Promise<unknown>>();

  function buildCall(context: FrameworkContext): { call: Call; finish(): Promise<void> } {
    const scope = currentScope();
    const server = scope?.session.server;
    const related = scope?.requestId === undefined ? {} : { relatedRequestId: scope.requestId };
    const signal = AbortSignal.any([context.signal, stopping.signal]);
    const wantsProgress = scope?.progressToken !== undefined;
    const progress = createProgress((update) => context.reportProgress(update), clock);
    const report: Call["progress"] = (update) => {
      if (wantsProgress) progress.report(update);
    };
    const forms = createFormClient(
      {
        supportsForms: server?.getClientCapabilities()?.elicitation?.form !== undefined,
        // Without the SDK's check of the answer, which voids a whole form for one field left empty or typed freely.
        async send(params, { timeout, signal }) {
          if (!server) throw new Error("There is no client to ask.");
          return server.request(
            { method: "elicitation/create", params: { mode: "form", ...params } },
            formAnswer,
            {
              timeout,
              signal,
              ...related,
            },
          );
        },
        explain(error) {
          if (!(error instanceof McpError)) return "no_answer";
          return error.code === ErrorCode.RequestTimeout ? "timeout" : "not_shown";
        },
        heartbeat: (message) => report({ message }),
      },
      { timeoutMs: options.elicitationTimeoutMs, signal, clock },
    );
    return {
      finish: () => progress.finish(),
      call: {
        forms,
        signal,
        isStopping: () => stopping.signal.aborted,
        wantsProgress,
        progress: report,
        // On this protocol a call is answered by its own answer only.
        follows: () => {},
        person: scope?.person,
        clientName: server?.getClientVersion()?.name,
        localFolders: async (until) => (server ? listRoots(server, until, related) : []),
      },
    };
  }

  return {
    async serve(context, handle) {
      const { call, finish } = buildCall(context as FrameworkContext);
      const answered = currentScope()?.answered;
      const work = handle(call).finally(finish);
      // What the work still writes down counts also when nobody gets the answer any more.
      const served: Promise<unknown> = Promise.allSettled([work, answered]).then(() => active.delete(served));
      active.add(served);
      return work;
    },
    async stop(graceMs) {
      stopping.abort(new Error("The server is stopping."));
      await withDeadline(clock, graceMs, () => Promise.allSettled(active));
    },
  };
}
