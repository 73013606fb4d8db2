import { homedir } from "node:os";
import { capabilitiesOfApi } from "../../plan-runner/api-capabilities.js";
import { planLimitsOf } from "../../settings/plan-settings.js";
import { readSettings } from "../../settings/settings.js";
import { keepAwake } from "../../shared/background/keep-awake.js";
import type { Invocation } from "../command-line.js";
import type { PlanCommand } from "../command-table.js";
import { createAsk } from "../install/ask.js";
import { type ChangeOptions, changeInTerminal } from "../plans/change-command.js";
import { type CheckAgainst, checkInTerminal } from "../plans/check-command.js";
import { type DecideOptions, decideInTerminal, type Said } from "../plans/decide-command.js";
import { unknownPlan } from "../plans/find-plan.js";
import { listPlansInTerminal } from "../plans/list-command.js";
import { readInputs } from "../plans/read-inputs.js";
import { readLimits } from "../plans/read-limits.js";
import { readPlanFile } from "../plans/read-plan-file.js";
import { saveInTerminal } from "../plans/save-command.js";
import { showPlanInTerminal } from "../plans/show-command.js";
import { findOwnPlans } from "../process.js";
import { type OpenServices, openActing, openReading } from "../sessions/open-services.js";
import { openWorkflows } from "../workflows/open-workflows.js";
import { createCall, createScreen, listTemplates, runPlan } from "./plan-start.js";
import { onInterrupt, out, outWrapped, paintOptions } from "./terminal.js";

const COMMANDS: Record<PlanCommand, (asked: Invocation) => Promise<number>> = {
  plan: list,
  "plan run": runPlan,
  "plan templates": listTemplates,
  "plan list": list,
  "plan check": check,
  "plan show": show,
  "plan approve": (asked) => decide(asked, "approve"),
  "plan send-back": (asked) => decide(asked, "send-back"),
  "plan stop": (asked) => decide(asked, "stop"),
  "plan pause": (asked) => change(asked, "pause"),
  "plan resume": (asked) => change(asked, "resume"),
  "plan skip": (asked) => change(asked, "skip"),
  "plan redo": (asked) => change(asked, "redo"),
  "plan kill": (asked) => change(asked, "kill"),
  "plan edit": edit,
  "plan limits": limit,
  "plan save": save,
};

/** `plan …`: several runs as one piece of work. */
export function plan(asked: Invocation): Promise<number> {
  return COMMANDS[asked.command as PlanCommand](asked);
}

/** Nothing is sent and nobody is started before it is needed: whoever only reads plans needs neither API nor engine. */
const open = (asked: Invocation) => openActing(readSettings(process.env, asked.flags), asked);

/** `plan list`: one line for each. */
async function list(asked: Invocation): Promise<number> {
  const { services, close } = open(asked);
  try {
    const plans = await services.plans.openIfAny();
    return await listPlansInTerminal(plans, {
      all: asked.all === true,
      json: asked.json === true,
      out,
      ...paintOptions(),
    });
  } finally {
    await close();
  }
}

/** `plan show`: how it stands, and on until it has ended. */
async function show(asked: Invocation): Promise<number> {
  const [wanted = ""] = asked.operands ?? [];
  const opened = open(asked);
  const signal = onInterrupt();
  try {
    const plans = await opened.services.plans.openIfAny();
    if (!plans) throw await unknownPlan(wanted, plans);
    return await keepAwake(() =>
      showPlanInTerminal(plans, wanted, {
        follow: asked.follow === true,
        json: asked.json === true,
        out,
        signal,
        paintOptions,
        ...createScreen(opened, plans, createCall(asked, signal)),
      }),
    );
  } finally {
    await opened.close();
  }
}

/** `plan save`: a template of what a session has been through. */
async function save(asked: Invocation): Promise<number> {
  const [wanted = "", name] = asked.operands ?? [];
  const { services, close } = await openReading(readSettings(process.env, asked.flags), asked);
  try {
    const to = asked.print ? "print" : asked["in-repository"] ? "repository" : "own";
    return await saveInTerminal(services, wanted, { name, to, ownFolder: findOwnPlans(), out });
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
      const { workflows, agents } = await openWorkflows(look);
      return { workflows, agents, cannot: {}, limits };
    }
    await discover();
    const { available, workflows } = services.catalogue.state();
    return {
      workflows: available ? workflows : undefined,
      agents: services.capabilities.state().description?.start.agents,
      cannot: capabilitiesOfApi(services.capabilities),
      limits,
    };
  } finally {
    await close();
  }
}

/** Does something with plans that may have to be carried out. */
async function onPlans(
  asked: Invocation,
  work: (wanted: string, options: ActingOptions, opened: OpenServices) => Promise<number>,
): Promise<number> {
  const [wanted = ""] = asked.operands ?? [];
  const opened = open(asked);
  const call = createCall(asked, onInterrupt());
  const ask = createAsk(process.stdin, process.stderr);
  try {
    // Where there was never a plan, the answer is that there is none of this name.
    const plans = await opened.services.plans.openIfAny();
    if (!plans) throw await unknownPlan(wanted, plans);
    return await keepAwake(async () => {
      await opened.discover();
      return work(wanted, { plans, yes: asked.yes === true, ask, call, out: outWrapped }, opened);
    });
  } finally {
    await opened.close();
  }
}

type ActingOptions = ChangeOptions & DecideOptions;

/** `plan approve`, `plan send-back`, `plan stop`: what waits for a decision. */
function decide(asked: Invocation, kind: Said["kind"]): Promise<number> {
  const [, ...rest] = asked.operands ?? [];
  const said = kind === "send-back" ? { kind, words: rest.pop() ?? "" } : { kind };
  return onPlans(asked, (wanted, options, opened) =>
    decideInTerminal(wanted, said, rest[0], opened, options),
  );
}

/** `plan pause`, `plan resume`, `plan skip`, `plan redo`, `plan kill`. */
function change(asked: Invocation, deed: "pause" | "resume" | "skip" | "redo" | "kill"): Promise<number> {
  const [, step, words] = asked.operands ?? [];
  return onPlans(asked, (wanted, options, opened) =>
    changeInTerminal(wanted, { deed, step, words }, opened, options),
  );
}

/** `plan edit`: the plan becomes what a file says. */
async function edit(asked: Invocation): Promise<number> {
  const [, path = ""] = asked.operands ?? [];
  const { text } = await readPlanFile(path);
  return onPlans(asked, (wanted, options, opened) =>
    changeInTerminal(wanted, { deed: "edit", text }, opened, options),
  );
}

/** `plan limits`: what a plan that goes on may take; the figures are the person's own, so nobody is asked about them. */
function limit(asked: Invocation): Promise<number> {
  const limits = readLimits(asked);
  return onPlans({ ...asked, yes: true }, (wanted, options, opened) =>
    changeInTerminal(wanted, { deed: "limits", limits }, opened, options),
  );
}
