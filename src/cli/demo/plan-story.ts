import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { SUPER_TOOL } from "../../server/tools/registry.js";
import { type Answerer, readFields } from "./answer-form.js";
import type { Screen, Step } from "./screen.js";
import { PARTS, PLAN } from "./script.js";

/** A plan of this size is over well within this time, in ms. */
const PATIENCE_MS = 60_000;
const WAIT_S = 45;

/**
 * Plays the second act: several runs as one piece of work, with a gate at which the person decides and two runs at the
 * same time.
 * @param client of the first act, still connected
 * @throws Error when the server does not do its part, or when the signal aborts
 */
export async function tellPlanStory(options: {
  client: Client;
  screen: Screen;
  answerer: Answerer;
  signal: AbortSignal;
}): Promise<void> {
  const { client, screen, answerer, signal } = options;
  let formOpen = false;
  client.setRequestHandler(ElicitRequestSchema, async ({ params }, extra) => {
    if (params.mode === "url") return { action: "cancel" };
    screen.endBar();
    screen.heading("The plan needs the person, and asks by a form");
    screen.line(params.message);
    formOpen = true;
    try {
      return await answerer.answer(readFields(params), AbortSignal.any([extra.signal, signal]));
    } finally {
      formOpen = false;
    }
  });

  screen.heading("The person says");
  screen.line(`"Build it: ${PARTS.join(" and ")} at the same time, once I have seen the split."`, "cyan");
  screen.line(`The chat client begins a plan of ${PLAN.steps.length} steps:`, "dim");
  screen.line(PLAN.steps.map((step) => JSON.stringify(step)).join("\n"), "dim");
  screen.heading("The plan");
  const result = await client.callTool(
    {
      name: SUPER_TOOL,
      arguments: {
        ...{ action: "plan", plan: PLAN, inputs: { parts: PARTS }, session_name: PLAN.name },
        ...{ repository_url: "", git_branch: "", wait_seconds: WAIT_S },
      },
    },
    undefined,
    {
      signal,
      timeout: PATIENCE_MS,
      onprogress: (step: Step) => {
        if (!formOpen && !signal.aborted) screen.bar(step);
      },
    },
  );
  screen.endBar();
  showPlanEnd(result, screen);
}

/** @throws Error when the plan has failed, or was not begun */
function showPlanEnd(result: Awaited<ReturnType<Client["callTool"]>>, screen: Screen): void {
  const { plan, summary } = (result.structuredContent ?? {}) as {
    plan?: {
      status: string;
      line: string;
      steps: { id: string; status: string }[];
      runs: { started: number };
    };
    summary?: string;
  };
  if (!plan || plan.status === "failed") throw new Error(summary ?? "The plan was not begun.");
  screen.heading(`The plan: ${plan.status}`);
  screen.line(`${plan.line}\n${plan.runs.started} runs. It would go on without this window.`);
}
