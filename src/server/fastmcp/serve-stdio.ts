import type { FastMCP } from "fastmcp";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import type { InFlightCalls } from "./in-flight-calls.js";
import { holdFirstAnswers } from "./session-hook.js";
import { createStdioTransport, type Streams } from "./stdio-transport.js";

/** What the client's greeting and its first list of tools wait for. */
export interface GreetingOptions {
  /** The list of workflows has been read, or was not to be had in time. */
  listed: Promise<unknown>;
  /** The same for all that is read of the API first. */
  discovered: Promise<unknown>;
  instructions(): string;
}

/** A client that sends no more is mostly gone: what it has asked is answered within this, in ms, as usual … */
const END_GRACE_MS = 1_000;
/** … then calls are told to end, for which a start under way needs most of this … */
const END_STOP_MS = 1_800;
/** … and a list of tools may still wait for the workflows. */
const END_LIST_MS = 1_500;
/** The greeting waits so long for the names of the workflows, in ms: clients show a server as starting meanwhile. */
const GREETING_BUDGET_MS = 1_500;

/**
 * Serves one client over two streams. It is greeted soon; only its first list of tools waits longer for the workflows.
 * When it sends no more, what it has sent is answered, and the session ends.
 */
export async function serveStdio(
  server: FastMCP,
  streams: Streams,
  options: GreetingOptions & { inFlight: InFlightCalls; clock: Clock; log: Log },
): Promise<void> {
  const { inFlight, clock, log } = options;
  const transport = createStdioTransport(streams, (problem) => log.warn(problem));
  const connected = new Promise((resolve) => server.on("connect", resolve));
  holdFirstAnswers(transport, {
    lists: Promise.all([options.discovered, connected]),
    greeting: withDeadline(clock, GREETING_BUDGET_MS, () => options.listed),
    instructions: options.instructions,
  });

  async function endSession(): Promise<void> {
    // After the end of its input there may be nothing else that keeps the process alive.
    const alive = setInterval(() => {}, END_GRACE_MS);
    // The last message is read while the session is being set up, and may be the only one.
    await connected;
    const waiting = transport.answered();
    await withDeadline(clock, END_GRACE_MS, () => waiting);
    // Calls that wait for a run are answered now, with the run's id.
    await withDeadline(clock, END_STOP_MS, () => Promise.all([waiting, inFlight.stop(END_STOP_MS)]));
    await withDeadline(clock, END_LIST_MS, () => waiting);
    await transport.flushed();
    await transport.close();
    clearInterval(alive);
  }
  void transport.ended.then(endSession);
  await server.connect(transport);
}
