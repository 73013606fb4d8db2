import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  type CallToolResult,
  ElicitRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { RunAnswer } from "../../actions/answer.js";
import { SUPER_TOOL } from "../../server/tools/registry.js";
import { systemClock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { type Answerer, readFields } from "./answer-form.js";
import type { Screen, Step } from "./screen.js";

/** What happens in a demo. */
export interface Plot {
  /** What the person says. */
  task: string;
  /** What the chat client makes of it. */
  request: Record<string, unknown>;
  /** What the person adds while the agent is at work, and at which turn. */
  feedback?: { text: string; turn: number };
  /** Stands behind the run's cost. */
  costNote?: string;
}

/** A real agent may think for longer than the minute of silence that the SDK's client bears by itself, in ms. */
const PATIENCE_MS = 5 * 60_000;
/** So long the server may take to know the workflows, in ms: its engine may only just have begun. */
const WORKFLOWS_MS = 30_000;

interface Told {
  outcome: string;
  run: Partial<RunAnswer> | undefined;
  /** The first line of the text: what happened. */
  headline: string;
  isError: boolean;
}

/**
 * Plays a chat client's part in the main job: finds the workflows, has a run started, answers the form, shows the
 * run live, gives feedback, and shows what came out.
 * @param client capable of forms, not connected; connected by `connect`
 * @returns whether there was a run: the person may not have wanted it
 * @throws Error when the server does not do its part, or when the signal aborts
 */
export async function tellStory(options: {
  client: Client;
  connect: () => Promise<void>;
  screen: Screen;
  answerer: Answerer;
  signal: AbortSignal;
  plot: Plot;
}): Promise<boolean> {
  const { client, connect, screen, answerer, signal, plot } = options;
  let formOpen = false;
  let runShown = false;
  let turnShown = 0;
  let sessionName: string | undefined;

  client.setRequestHandler(ElicitRequestSchema, async ({ params }, extra) => {
    if (params.mode === "url") return { action: "cancel" };
    screen.endBar();
    screen.heading(
      runShown ? "The agent asks, by a form of the server" : "The server asks by a form for what is missing",
    );
    screen.line(params.message);
    formOpen = true;
    try {
      const result = await answerer.answer(readFields(params), AbortSignal.any([extra.signal, signal]));
      sessionName = (result.content?.session_name as string | undefined) ?? sessionName;
      if (result.action !== "accept" && !signal.aborted) screen.line(`The person answers: ${result.action}`);
      return result;
    } finally {
      formOpen = false;
    }
  });

  async function call(args: Record<string, unknown>, onprogress?: (step: Step) => void): Promise<Told> {
    const result = await client.callTool({ name: SUPER_TOOL, arguments: args }, undefined, {
      signal,
      timeout: PATIENCE_MS,
      resetTimeoutOnProgress: true,
      ...(onprogress ? { onprogress } : {}),
    });
    return readAnswer(result as CallToolResult);
  }

  await connect();
  await showWorkflows(client, screen, signal);

  screen.heading("The person says");
  screen.line(`"${plot.task}"`, "cyan");
  screen.line(`The chat client calls ${SUPER_TOOL} ${JSON.stringify(plot.request)}`, "dim");

  let feedback: Promise<void> | undefined;
  async function giveFeedback(text: string): Promise<void> {
    screen.line(`The person says: "${text}"`, "cyan");
    const { headline } = await call({ action: "feedback", session_name: sessionName, message: text });
    screen.line(`The server answers: ${headline}`, "green");
  }
  const showStep = (step: Step) => {
    // What the server sends while the form is open are signs of life.
    if (formOpen || signal.aborted) return;
    if (!runShown) screen.heading("The run");
    runShown = true;
    screen.bar(step);
    turnShown = Math.floor(step.progress);
    if (!plot.feedback || step.progress < plot.feedback.turn || feedback) return;
    feedback = giveFeedback(plot.feedback.text);
    // It is awaited below; this keeps an earlier failure from being reported as an unhandled rejection.
    feedback.catch(() => {});
  };

  let told = await call(plot.request, showStep);
  // A value that the server will not take is no end: as in a chat, the person is asked again.
  while (told.isError && !told.run && sessionName !== undefined && answerer.byKeyboard) {
    screen.line(told.headline, "yellow");
    sessionName = undefined;
    told = await call(plot.request, showStep);
  }
  await feedback;
  // The SDK's client drops a progress notification that arrives together with the answer.
  const { turn = 0, max_turns: total } = told.run ?? {};
  if (turn > turnShown) screen.bar({ progress: turn, total, message: `Turn ${turn}/${total}` });
  screen.endBar();
  showEnd(told, screen, plot.costNote ?? "");
  return told.run !== undefined;
}

async function showWorkflows(client: Client, screen: Screen, signal: AbortSignal): Promise<void> {
  const { names, description } = await findWorkflows(client, signal);
  if (names.length === 0) throw new Error(`The server found no workflows. ${description}`);
  const about = new Map(
    description.split("\n").map((line) => {
      const end = line.indexOf(": ");
      return [line.slice(0, end), line.slice(end + 2)];
    }),
  );
  const width = Math.max(...names.map((name) => name.length));
  screen.heading("The server has found these workflows");
  for (const name of names) screen.line(`${name.padEnd(width)}  ${about.get(name) ?? ""}`.trimEnd());
}

interface FoundWorkflows {
  names: string[];
  /** A line for each. */
  description: string;
}

/** Waits for a server that does not know them yet. */
async function findWorkflows(client: Client, signal: AbortSignal): Promise<FoundWorkflows> {
  let found: FoundWorkflows = { names: [], description: "" };
  const find = async (waiting: AbortSignal) => {
    while (found.names.length === 0 && !waiting.aborted) {
      const changed = nextChange(client, waiting);
      found = await readWorkflows(client, waiting);
      if (found.names.length === 0) await changed;
    }
  };
  await withDeadline(systemClock, WORKFLOWS_MS, find, signal);
  return found;
}

async function readWorkflows(client: Client, signal: AbortSignal): Promise<FoundWorkflows> {
  const { tools } = await client.listTools(undefined, { signal });
  const properties = tools.find((tool) => tool.name === SUPER_TOOL)?.inputSchema.properties ?? {};
  const { enum: names = [], description = "" } = (properties.workflow_name ?? {}) as {
    enum?: string[];
    description?: string;
  };
  return { names, description };
}

/** Resolves when the server says that its tools have changed, and when nobody waits for that any more. */
function nextChange(client: Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function readAnswer(result: CallToolResult): Told {
  const [first] = result.content;
  const text = first?.type === "text" ? first.text : "";
  const { outcome, run } = (result.structuredContent ?? {}) as { outcome?: string; run?: Partial<RunAnswer> };
  return {
    outcome: outcome ?? "unknown",
    run,
    headline: text.split("\n")[0] ?? "",
    isError: result.isError === true,
  };
}

/** @throws Error unless the run completed or the person did not want it */
function showEnd({ outcome, run, headline }: Told, screen: Screen, costNote: string): void {
  if (outcome === "declined" || outcome === "cancelled") {
    screen.heading(`Outcome: ${outcome}`);
    screen.line(headline);
    return;
  }
  if (outcome !== "completed" || run?.result === undefined)
    throw new Error(headline || `Outcome: ${outcome}`);
  screen.heading("The result");
  screen.line(run.result);
  const facts = [
    run.turn === undefined ? "" : `${run.turn} turns`,
    run.duration_s === undefined ? "" : `${run.duration_s} s`,
    run.cost_usd === undefined ? "" : `${run.cost_usd} USD${costNote}`,
    run.session_name === undefined ? "" : `session ${run.session_name}`,
  ];
  screen.heading(`Outcome: ${outcome}`);
  screen.line(facts.filter(Boolean).join(", "));
}
