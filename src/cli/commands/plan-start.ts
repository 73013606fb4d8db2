import { realpath } from "node:fs/promises";
import { homedir } from "node:os";
import type { Call } from "../../actions/define-action.js";
import { askForPlan } from "../../actions/plans/ask-person.js";
import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { readPlanText } from "../../plans/language/read-plan-text.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import { readSettings } from "../../settings/settings.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import type { Invocation } from "../command-line.js";
import { type FollowOptions, followPlan } from "../plans/follow-plan.js";
import { createLiveLine } from "../plans/live-line.js";
import { readInputs } from "../plans/read-inputs.js";
import { isFile, readPlanFile } from "../plans/read-plan-file.js";
import { howToAnswer, renderPlan, tellLeft } from "../plans/render-plan.js";
import { exitCodeOf } from "../plans/render-plans.js";
import { runInTerminal } from "../plans/run-command.js";
import { listTemplatesInTerminal } from "../plans/templates-command.js";
import { createTerminalForms } from "../plans/terminal-forms.js";
import { NOT_RUNNING, type OpenServices, openActing, openReading } from "../sessions/open-services.js";
import { createTerminalCall } from "../sessions/terminal-call.js";
import { findWidth, onInterrupt, out, paintOptions } from "./terminal.js";

const NO_FORESIGHT =
  "None is started to foresee a plan: open your chat client first. `plan check FILE` works without. Nothing was begun.";

/** Where the person stands counts, as it does for a chat window that they open there. */
const here = () => ({ sharesMachine: true, ownFolders: [process.cwd()], home: homedir() });

const createForms = () =>
  createTerminalForms({
    input: process.stdin,
    output: process.stderr,
    // Ends the command as it does where nothing is asked.
    interrupt: () => void process.emit("SIGINT"),
  });

/** Whoever wants nothing to be asked gets no forms; what has to be agreed to word for word is then named. */
export function createCall(asked: Invocation, signal: AbortSignal): Call {
  const call = { ...createTerminalCall({ signal }), agreed: asked.agree ?? [] };
  return asked.yes === true ? call : { ...call, forms: createForms() };
}

/** `plan run`: begins a plan, and follows it where that is wanted. */
export async function runPlan(asked: Invocation): Promise<number> {
  const order = await readOrder(asked);
  const settings = readSettings(process.env, asked.flags);
  const opened = order.dryRun
    ? await openReading(settings, asked, here())
    : openActing(settings, asked, here());
  const signal = onInterrupt();
  const call = createCall(asked, signal);
  try {
    return await keepAwake(async () => {
      // Nobody tells what it can do, so that every plan would look wrong; none is started to foresee something.
      if (opened.engine?.running === false) {
        out(`${NOT_RUNNING} ${NO_FORESIGHT}\n`);
        return 1;
      }
      const begun = await runInTerminal(order, opened, { call, out });
      if (typeof begun === "number" || asked.follow !== true) return typeof begun === "number" ? begun : 0;
      const plans = await opened.services.plans.open();
      const last = await followPlan(begun, { plans, signal, ...createScreen(opened, plans, call) });
      if (signal.aborted) {
        out(tellLeft(last, paintOptions()));
        return 0;
      }
      out(`\n${renderPlan(last, paintOptions())}\n`);
      return exitCodeOf(last);
    });
  } finally {
    await opened.close();
  }
}

/** What shows how a plan goes on, and asks what it asks where somebody can answer. */
export function createScreen(
  { services, discover }: OpenServices,
  plans: Plans,
  call: Call,
): Pick<FollowOptions, "line" | "ask"> {
  const moves = process.stdout.isTTY === true && process.env.TERM !== "dumb";
  async function ask(sight: PlanSight, need: WaitingFor): Promise<void> {
    await discover();
    const { note, result } = await askForPlan(sight, need, plans, call, services);
    if (!note || call.signal.aborted) return;
    const ways = result === "left_open" ? howToAnswer(need, describePlan(sight.state)) : [];
    process.stderr.write([note, ...ways.map((way) => `  ${way}`)].map((line) => `${line}\n`).join(""));
  }
  return {
    line: createLiveLine(process.stdout, { moves, width: findWidth }),
    ask: call.forms.supported && moves ? ask : undefined,
  };
}

async function readOrder(asked: Invocation) {
  const [wanted = ""] = asked.operands ?? [];
  const common = {
    inputs: readInputs(asked.input) ?? {},
    repository: asked.repository,
    branch: asked.branch,
    dryRun: asked["dry-run"] === true,
  };
  if (!isFile(wanted)) return { ...common, plan: wanted, name: asked.name };
  const { text, name } = await readPlanFile(wanted);
  const hasName = asked.name !== undefined || (await saysName(text));
  const file = await realpath(wanted).catch(() => undefined);
  return { ...common, plan: text, name: hasName ? asked.name : name, file };
}

/** True when the plan itself says what it is called. */
async function saysName(text: string): Promise<boolean> {
  const read = await readPlanText(text);
  return "value" in read && typeof (read.value as { name?: unknown } | null)?.name === "string";
}

/** `plan templates`: what plans can be begun from. */
export async function listTemplates(asked: Invocation): Promise<number> {
  const opened = await openReading(readSettings(process.env, asked.flags), asked, here());
  const call = createCall(asked, onInterrupt());
  const place = { repository_url: asked.repository, git_branch: asked.branch };
  try {
    return await listTemplatesInTerminal(place, opened, {
      call,
      json: asked.json === true,
      out,
      width: findWidth(),
    });
  } finally {
    await opened.close();
  }
}
