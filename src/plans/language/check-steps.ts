import { cleanText, isShownWhole } from "../../shared/text.js";
import type { PlanGraph } from "../graph.js";
import {
  AUTO_WORKFLOW,
  type BackTo,
  DEFAULT_BACK_TO_MAX,
  type GateStep,
  type MergeStep,
  optional,
  type PlanStep,
  put,
  type RunStep,
} from "../plan.js";
import { isPlanName, NAME_RULE, nameFrom } from "./plain-value.js";
import { planLine, quote } from "./problems.js";
import { addProblem, type Place, type Reading, within } from "./read-object.js";
import type { RawStep } from "./read-shape.js";

/** What an API, or the place where plans run, may not be able to do, by its key in the language. */
export type PlanFeature = "agent" | "continue" | "from" | "for_each" | "merge" | "output";

/** A kind of agent, as far as a plan has to know it. */
export interface PlanAgent {
  name: string;
  /** It tells what it costs: else no limit of cost can be kept. */
  tellsCost: boolean;
}

/** A step as it came, under the name by which others mean it. */
export interface NamedStep {
  id: string;
  raw: RawStep;
  place: Place;
  kind: PlanStep["kind"] | undefined;
}

const KINDS = ["run", "gate", "merge"] as const;
const COMMON = ["id", "needs", "when", "join"];
const KEYS: Record<PlanStep["kind"], readonly string[]> = {
  run: ["run", "agent", "task", "output", "continue", "from", "for_each", "parallel", "retry", "back_to"],
  gate: ["gate", "show", "back_to"],
  merge: ["merge", "check"],
};

/** Names and kinds of all steps: what has none is noted, and gets a name under which nobody can mean it. */
export function nameSteps(steps: readonly { raw: RawStep; place: Place }[], reading: Reading): NamedStep[] {
  const seen = new Set<string>();
  return steps.map(({ raw, place }, at) => {
    const id = raw.id ?? `#${at}`;
    if (raw.id === undefined)
      addProblem(reading, place, {
        message: "The step has no id.",
        correction: planLine("id", `step-${at + 1}`),
      });
    else if (!isPlanName(id)) {
      const better = nameFrom(id);
      addProblem(reading, within(place, "id"), {
        message: `${quote(id)} is no name for a step: it must have ${NAME_RULE}.`,
        ...(better ? { correction: planLine("id", better) } : {}),
      });
    } else if (seen.has(id))
      addProblem(reading, within(place, "id"), {
        message: `Another step has the id ${quote(id)} already.`,
        correction: planLine("id", `${id}-2`),
      });
    seen.add(id);
    return { id, raw, place, kind: kindOf(raw, place, reading) };
  });
}

function kindOf(raw: RawStep, place: Place, reading: Reading): PlanStep["kind"] | undefined {
  const kinds = KINDS.filter((kind) => raw[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined)
    addProblem(reading, place, {
      message: "The step does not say what it is: it needs one of run, gate and merge.",
      correction: "run: auto",
    });
  else if (kinds.length > 1)
    addProblem(reading, place, {
      message: `A step is one thing only, and this one has ${kinds.join(" and ")}: make two steps of it.`,
      correction: planLine(kind, raw[kind]),
    });
  return kinds.length === 1 ? kind : undefined;
}

/** What `continue`, `from`, `merge`, `needs` and `back_to` name, and which keys go together. */
export function checkSteps(options: {
  steps: readonly NamedStep[];
  graph: PlanGraph;
  reading: Reading;
  workflows: readonly string[] | undefined;
  cannot: Partial<Record<PlanFeature, string>>;
  agents: readonly PlanAgent[] | undefined;
}): void {
  const { steps, graph, reading, workflows, cannot, agents } = options;
  const byId = new Map([...steps].reverse().map((step) => [step.id, step]));
  const ids = [...byId.keys()].filter((id) => !id.startsWith("#"));

  /** The step that a key names, if it is there; noted when it is not. */
  function find(
    step: NamedStep,
    name: string,
    at: Place,
    line: (better: string) => string,
  ): NamedStep | undefined {
    const found = byId.get(name);
    if (found) return found;
    const nearest = reading.problems.nearest(
      name,
      ids.filter((id) => id !== step.id),
    );
    addProblem(reading, at, {
      message: `There is no step ${quote(name)}${nearest ? `; ${quote(nearest)} may be meant` : ""}.`,
      ...optional("nearest", nearest),
      ...optional("correction", nearest && line(nearest)),
    });
    return undefined;
  }

  /** A step that this one goes on from has to come before it. */
  function findUpstream(step: NamedStep, key: string, name: string, at: Place): NamedStep | undefined {
    const found = find(step, name, at, (better) => planLine(key, better));
    if (!found || graph.isUpstream(name, step.id)) return found;
    if (name === step.id) {
      addProblem(reading, at, { message: "A step cannot name itself here." });
      return undefined;
    }
    const comesAfter = graph.isUpstream(step.id, name);
    addProblem(reading, at, {
      message: comesAfter
        ? `Step ${quote(name)} comes after this step, so it cannot be used here.`
        : `Step ${quote(name)} need not have ended before this step begins: name it in needs.`,
      ...(comesAfter ? {} : { correction: planLine("needs", [...(step.raw.needs ?? []), name]) }),
    });
    return found;
  }

  for (const step of steps) {
    const { raw, place, kind } = step;
    if (kind) {
      for (const key of Object.keys(raw))
        if (!COMMON.includes(key) && !KEYS[kind].includes(key) && !KINDS.includes(key as "run"))
          addProblem(reading, within(place, key), {
            message: `${quote(key)} does not belong to a ${kind}, but to a ${KINDS.filter((other) => KEYS[other].includes(key)).join(" or ")}.`,
          });
    }
    for (const [at, need] of (raw.needs ?? []).entries())
      find(step, need, within(place, "needs", at), (better) =>
        planLine(
          "needs",
          (raw.needs ?? []).map((other) => (other === need ? better : other)),
        ),
      );
    if (raw.join && !raw.needs?.length)
      addProblem(reading, within(place, "join"), {
        message: "Only a step with needs can have a join.",
      });
    for (const feature of ["agent", "continue", "from", "for_each", "merge", "output"] as const) {
      const why = cannot[feature];
      if (why && raw[feature] !== undefined)
        addProblem(reading, within(place, feature), {
          message: `${why}, so ${quote(feature)} is not possible.`,
        });
    }
    if (kind === "run") checkRun(step);
    if (kind === "merge") checkMerge(step);
    checkBackTo(step);
  }
  checkSequences(byId, graph, reading);

  function checkRun(step: NamedStep): void {
    const { raw, place } = step;
    if (workflows && raw.run !== undefined && raw.run !== AUTO_WORKFLOW && !workflows.includes(raw.run)) {
      const nearest = reading.problems.nearest(raw.run, workflows);
      addProblem(reading, within(place, "run"), {
        message: `There is no workflow ${quote(raw.run)}${nearest ? `; ${quote(nearest)} may be meant` : ""}. ${
          workflows.length > 0 ? `There are ${workflows.slice(0, 20).join(", ")}.` : "The API offers none."
        }`,
        ...optional("nearest", nearest),
        correction: planLine("run", nearest ?? AUTO_WORKFLOW),
      });
    }
    if (
      agents &&
      !cannot.agent &&
      raw.agent !== undefined &&
      !agents.some(({ name }) => name === raw.agent)
    ) {
      const names = agents.map(({ name }) => name);
      addProblem(reading, within(place, "agent"), {
        message: `There is no agent ${quote(raw.agent)}. There are ${names.join(", ")}.`,
        ...optional("correction", names[0] && planLine("agent", names[0])),
      });
    }
    if (raw.continue !== undefined && raw.from !== undefined)
      addProblem(reading, within(place, "from"), {
        message:
          "A step either goes on with a conversation (continue) or begins one at a branch (from): keep one of them.",
        correction: planLine("continue", raw.continue),
      });
    for (const key of ["continue", "from"] as const) {
      const name = raw[key];
      if (name === undefined) continue;
      const at = within(place, key);
      const target = findUpstream(step, key, name, at);
      if (!target?.kind) continue;
      if (target.kind === "gate" || (key === "continue" && target.kind === "merge"))
        addProblem(reading, at, {
          message: `Step ${quote(name)} is a ${target.kind}, which has no ${key === "continue" ? "conversation" : "branch"}.`,
        });
      else if (target.raw.for_each !== undefined)
        addProblem(reading, at, {
          message: `Step ${quote(name)} has a ${key === "continue" ? "conversation" : "branch"} for each of its items: ${
            key === "continue" ? "it cannot be continued as one" : "merge them first, and name the merge here"
          }.`,
        });
      if (key === "continue" && raw.for_each !== undefined)
        addProblem(reading, at, {
          message:
            "A conversation goes on in sequence only, and this step has one run for each item: use from.",
          correction: planLine("from", name),
        });
    }
    if (raw.parallel !== undefined && raw.for_each === undefined)
      addProblem(reading, within(place, "parallel"), {
        message: "Only a step with for_each has runs at once; those of the plan are limits.parallel.",
      });
    if (raw.task === undefined && !raw.needs?.length)
      addProblem(reading, place, {
        message: "A step that needs no other has nothing to work on: it must have a task.",
        correction: 'task: "What to do"',
      });
  }

  function checkMerge(step: NamedStep): void {
    const { raw, place } = step;
    const at = within(place, "merge");
    if (raw.merge === undefined) return;
    const target = findUpstream(step, "merge", raw.merge, at);
    if (target?.kind && (target.kind !== "run" || target.raw.for_each === undefined))
      addProblem(reading, at, {
        message: `Step ${quote(raw.merge)} has no for_each, so there are no branches of it to merge.`,
      });
    if (raw.check !== undefined && !isShownWhole(raw.check))
      addProblem(reading, within(place, "check"), {
        message: "A command must be one line of characters that can be seen.",
      });
  }

  function checkBackTo(step: NamedStep): void {
    const { raw, place, kind } = step;
    const backTo = raw.back_to;
    if (!backTo || (kind !== "run" && kind !== "gate")) return;
    const at = within(place, "back_to");
    if (backTo.step === undefined)
      addProblem(reading, at, { message: "It names no step.", correction: "step: design" });
    else {
      const target = findUpstream(step, "step", backTo.step, within(at, "step"));
      if (target?.kind && (target.kind !== "run" || target.raw.for_each !== undefined))
        addProblem(reading, within(at, "step"), {
          message: `Step ${quote(backTo.step)} is ${target.kind === "run" ? "several runs" : `a ${target.kind}`}: only a step with one run can be sent back to.`,
        });
    }
    if (kind === "gate" && backTo.when !== undefined)
      addProblem(reading, within(at, "when"), {
        message: "At a gate a person decides whether to send back: leave when out.",
      });
    if (kind === "run" && backTo.when === undefined)
      addProblem(reading, at, {
        message: "A run is sent back by a condition: it must have when.",
        correction: `when: "\${steps.${step.id}.output.verdict} == changes"`,
      });
    if (kind === "run" && raw.for_each !== undefined)
      addProblem(reading, at, {
        message: "A step with for_each cannot send back: let a step behind it do so.",
      });
  }
}

/** Two steps must not go on with one conversation at the same time. */
function checkSequences(byId: ReadonlyMap<string, NamedStep>, graph: PlanGraph, reading: Reading): void {
  const last = new Map<string, string>();
  const rootOf = new Map<string, string>();
  for (const id of graph.order) {
    const { raw, place } = byId.get(id) as NamedStep;
    const before = raw.continue;
    const root = before === undefined ? id : (rootOf.get(before) ?? before);
    rootOf.set(id, root);
    const other = last.get(root);
    if (before !== undefined && other !== undefined && other !== before && !graph.isUpstream(other, id))
      addProblem(reading, within(place, "continue"), {
        message: `Step ${quote(other)} goes on with the same conversation and may run at the same time: one has to need the other, or begin with from.`,
        correction: planLine("needs", [...(raw.needs ?? []), other]),
      });
    last.set(root, id);
  }
}

/** A step without mistakes as the plan holds it. Texts lose what nobody would see in them. */
export function makeStep({ id, raw, kind }: NamedStep): PlanStep {
  const { needs = [], back_to } = raw;
  const common = { id, needs: needs.length > 1 ? [...new Set(needs)] : needs };
  const backTo: BackTo | undefined = back_to && {
    step: back_to.step ?? "",
    max: back_to.max ?? DEFAULT_BACK_TO_MAX,
    ...optional("when", back_to.when),
  };
  if (kind === "gate") {
    const gate: GateStep = { ...common, kind, question: cleanText(raw.gate ?? "") };
    put(gate, "show", raw.show && cleanText(raw.show));
    put(gate, "backTo", backTo);
    return withConditions(gate, raw);
  }
  if (kind === "merge") {
    const merge: MergeStep = { ...common, kind, merge: raw.merge ?? "" };
    put(merge, "check", raw.check);
    return withConditions(merge, raw);
  }
  const run: RunStep = { ...common, kind: "run", workflow: raw.run ?? "", retry: raw.retry ?? 0 };
  put(run, "agent", raw.agent);
  put(run, "task", raw.task && cleanText(raw.task));
  put(run, "output", raw.output && Object.keys(raw.output).length > 0 ? raw.output : undefined);
  put(run, "continue", raw.continue);
  put(run, "from", raw.from);
  put(run, "forEach", raw.for_each);
  put(run, "parallel", raw.parallel);
  put(run, "backTo", backTo);
  return withConditions(run, raw);
}

function withConditions(step: PlanStep, { when, join }: RawStep): PlanStep {
  put(step, "when", when);
  put(step, "join", join);
  return step;
}
