import { homedir } from "node:os";
import { capabilitiesOfApi } from "../../plan-runner/api-capabilities.js";
import { planLimitsOf } from "../../settings/plan-settings.js";
import { readSettings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Invocation } from "../command-line.js";
import type { PlanCommand } from "../command-table.js";
import { type CheckAgainst, checkInTerminal } from "../plans/check-command.js";
import { listPlansInTerminal } from "../plans/list-command.js";
import { createLiveLine } from "../plans/live-line.js";
import { readInputs } from "../plans/read-inputs.js";
import { readPlanFile } from "../plans/read-plan-file.js";
import type { PaintOptions } from "../plans/render-plans.js";
import { showPlanInTerminal } from "../plans/show-command.js";
import { openActing, openReading } from "../sessions/open-services.js";
import { openWorkflows } from "../workflows/open-workflows.js";
import { findWidth, onInterrupt, paint } from "./sessions.js";

const out = (text: string) => process.stdout.write(text);

const COMMANDS: Record<PlanCommand, (asked: Invocation) => Promise<number>> = {
  plan: list,
  "plan list": list,
  "plan check": check,
  "plan show": show,
};

/** `plan …`: several runs as one piece of work. */
export function plan(asked: Invocation): Promise<number> {
  return COMMANDS[asked.command as PlanCommand](asked);
}

const paintOptions = (): PaintOptions => ({ width: findWidth(), paint, now: systemClock.now() });

/** Nothing is sent and nobody is started before it is needed: whoever only reads plans needs neither API nor engine. */
const open = (asked: Invocation) => openActing(readSettings(process.env, asked.flags), asked);

/** `plan list`: one line for each. */
async function list(asked: Invocation): Promise<number> {
  const { services, close } = open(asked);
  try {
    const plans = await services.plans.openIfAny();
    return await listPlansInTerminal(plans, { all: asked.all === true, out, ...paintOptions() });
  } finally {
    await close();
  }
}

/** `plan show`: how it stands, and on until it has ended. */
async function show(asked: Invocation): Promise<number> {
  const [wanted = ""] = asked.operands ?? [];
  const { services, close } = open(asked);
  const signal = onInterrupt();
  const moves = process.stdout.isTTY === true && process.env.TERM !== "dumb";
  try {
    const plans = await services.plans.openIfAny();
    return await showPlanInTerminal(plans, wanted, {
      follow: asked.follow === true,
      out,
      signal,
      line: createLiveLine(process.stdout, { moves, width: findWidth }),
      paintOptions: paintOptions(),
    });
  } finally {
    await close();
  }
}

/** `plan check`: all mistakes of a plan's file. */
async function check(asked: Invocation): Promise<number> {
  const [path = ""] = asked.operands ?? [];
  const inputs = readInputs(asked.input);
  const file = await readPlanFile(path);
  return checkInTerminal(file, await findAgainst(asked), { inputs, out });
}

/** What a plan is held against: without the engine of this machine, its workflows are looked at where they are. */
async function findAgainst(asked: Invocation): Promise<CheckAgainst> {
  const settings = readSettings(process.env, asked.flags);
  const limits = planLimitsOf(settings);
  const { services, engine, discover, close } = await openReading(settings, asked);
  try {
    if (engine && !engine.running) {
      const look = { env: process.env, platform: process.platform, home: homedir() };
      const { workflows } = await openWorkflows(look);
      return { workflows: workflows.map(({ name }) => name), cannot: {}, limits };
    }
    await discover();
    const { available, workflows } = services.catalogue.state();
    const names = available ? workflows.map(({ name }) => name) : undefined;
    return { workflows: names, cannot: capabilitiesOfApi(services.capabilities), limits };
  } finally {
    await close();
  }
}
