import type { PlanGraph } from "../graph.js";
import { type Field, type Fields, optional } from "../plan.js";
import {
  type BadReference,
  OUTCOMES,
  parseCondition,
  parseText,
  type Reference,
  soleReference,
  spellReference,
} from "../references.js";
import type { NamedStep } from "./check-steps.js";
import { onOneLine, planLine, quote } from "./problems.js";
import { addProblem, type Place, type Reading, within } from "./read-object.js";

/** What a reference gives; undefined where it is a mistake, which is noted. */
type Kind = { type: Field["type"]; words?: readonly string[] } | undefined;

/** All `${…}` of all steps: there, upstream, and of the kind that the place wants. */
export function checkReferences(options: {
  steps: readonly NamedStep[];
  graph: PlanGraph;
  inputs: Fields;
  reading: Reading;
}): void {
  const { steps, graph, inputs, reading } = options;
  const byId = new Map([...steps].reverse().map((step) => [step.id, step]));

  for (const step of steps) {
    const { raw, place } = step;
    for (const key of ["task", "show", "gate"] as const) {
      const text = raw[key];
      if (text !== undefined) checkText(text, step, within(place, key));
    }
    if (raw.check !== undefined) checkCommand(raw.check, within(place, "check"));
    if (raw.for_each !== undefined) checkList(raw.for_each, step, within(place, "for_each"));
    if (raw.when !== undefined) checkCondition(raw.when, step, within(place, "when"), false);
    if (raw.back_to?.when !== undefined)
      checkCondition(raw.back_to.when, step, within(place, "back_to", "when"), true);
  }

  function checkText(text: string, step: NamedStep, at: Place): void {
    for (const part of parseText(text)) if (typeof part !== "string") check(part, step, at, false);
  }

  /** A person's own input may be the whole of a command; of an agent nothing gets into it, and the rest is the shell's. */
  function checkCommand(text: string, at: Place): void {
    const reference = soleReference(text);
    if (reference?.kind !== "input") return;
    const kind = checkInput(reference.name, at);
    if (kind && kind.type !== "string")
      addProblem(reading, at, {
        message: `A command is a text, and the input ${quote(reference.name)} is none.`,
      });
  }

  function checkList(text: string, step: NamedStep, at: Place): void {
    const reference = soleReference(text);
    if (!reference) {
      addProblem(reading, at, {
        message: `It must be one reference to a list, and is ${quote(text)}.`,
        correction: planLine("for_each", "${inputs.parts}"),
      });
      return;
    }
    const kind = check(reference, step, at, false);
    if (kind && kind.type !== "list")
      addProblem(reading, at, {
        message: `${quote(spellReference(reference))} is no list: it is ${kind.type === "integer" ? "an" : "a"} ${kind.type === "string" ? "text" : kind.type}.`,
        ...optional("correction", listHint(reference)),
      });
  }

  function listHint(reference: Reference | BadReference): string | undefined {
    if (reference.kind === "output" || reference.kind === "input") return `${reference.name}: { type: list }`;
    if (reference.kind !== "step") return undefined;
    const output = byId.get(reference.step)?.raw.output ?? {};
    const list = Object.keys(output).find((name) => output[name]?.type === "list");
    return list && planLine("for_each", `\${steps.${reference.step}.output.${list}}`);
  }

  function checkCondition(text: string, step: NamedStep, at: Place, ownToo: boolean): void {
    const condition = parseCondition(text);
    if ("problem" in condition) {
      addProblem(reading, at, {
        message: `The condition ${condition.problem}.`,
        correction: 'when: "${steps.review.output.verdict} == changes"',
      });
      return;
    }
    const { reference, operator, words } = condition;
    const kind = check(reference, step, at, ownToo);
    if (!kind) return;
    if (kind.type === "list")
      addProblem(reading, at, {
        message: `${quote(spellReference(reference))} is a list, which no word can equal.`,
      });
    const known = kind.words ?? (kind.type === "boolean" ? ["true", "false"] : undefined);
    if (!known) return;
    for (const word of words) {
      if (known.includes(word)) continue;
      const nearest = reading.problems.nearest(word, known);
      const better = words.map((other) => (other === word ? (nearest ?? known[0] ?? word) : other));
      addProblem(reading, at, {
        message: `${quote(spellReference(reference))} is never ${quote(word)}; it is one of ${known.join(", ")}.`,
        ...optional("nearest", nearest),
        correction: planLine(
          "when",
          `${spellReference(reference)} ${operator} ${operator === "in" ? `[${better.join(", ")}]` : better[0]}`,
        ),
      });
    }
  }

  function check(reference: Reference | BadReference, step: NamedStep, at: Place, ownToo: boolean): Kind {
    switch (reference.kind) {
      case "bad":
        addProblem(reading, at, {
          message: `${quote(spellReference(reference))} ${reference.problem}. To have it as plain text, write $\${ in place of \${.`,
        });
        return undefined;
      case "item":
        if (step.raw.for_each !== undefined && at.path.at(-1) !== "for_each" && at.path.at(-1) !== "when")
          return { type: "string" };
        addProblem(reading, at, {
          message: "There is no item here: only the task of a step with for_each has one.",
        });
        return undefined;
      case "input":
        return checkInput(reference.name, at);
      default:
        return checkStep(reference, step, at, ownToo);
    }
  }

  function checkInput(name: string, at: Place): Kind {
    const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    if (input) return { type: input.type, ...optional("words", input.enum) };
    const nearest = reading.problems.nearest(name, Object.keys(inputs));
    addProblem(reading, at, {
      message: `The plan has no input ${quote(name)}${nearest ? `; ${quote(nearest)} may be meant` : ""}.`,
      ...optional("nearest", nearest),
      correction: nearest ? `\${inputs.${nearest}}` : `inputs: { ${onOneLine(name, 64)}: { type: string } }`,
    });
    return undefined;
  }

  function checkStep(
    reference: Extract<Reference, { step: string }>,
    step: NamedStep,
    at: Place,
    ownToo: boolean,
  ): Kind {
    const { step: name } = reference;
    const target = byId.get(name);
    if (!target) {
      const nearest = reading.problems.nearest(name, [...byId.keys()]);
      addProblem(reading, at, {
        message: `There is no step ${quote(name)}${nearest ? `; ${quote(nearest)} may be meant` : ""}.`,
        ...optional("nearest", nearest),
        ...optional("correction", nearest && spellReference({ ...reference, step: nearest })),
      });
      return undefined;
    }
    if (!(ownToo && name === step.id) && !graph.isUpstream(name, step.id)) {
      const comesAfter = name === step.id || graph.isUpstream(step.id, name);
      addProblem(reading, at, {
        message: comesAfter
          ? `Step ${quote(name)} has not ended before this step begins, so it cannot be referred to.`
          : `Step ${quote(name)} need not have ended before this step begins: name it in needs.`,
        ...(comesAfter ? {} : { correction: planLine("needs", [...(step.raw.needs ?? []), name]) }),
      });
      return undefined;
    }
    const isFanOut = target.raw.for_each !== undefined;
    if (reference.kind === "output") return checkOutput(reference.name, target, at, isFanOut);
    const { part } = reference;
    if (part === "outcome") return { type: "string", words: OUTCOMES };
    const lacks =
      (part === "branch" && (target.kind === "gate" || isFanOut)) ||
      (part === "session" && (target.kind !== "run" || isFanOut));
    if (lacks && target.kind) {
      addProblem(reading, at, {
        message: `Step ${quote(name)} has no ${part}${isFanOut ? " of its own: each of its runs has one" : `: it is a ${target.kind}`}.`,
      });
      return undefined;
    }
    return { type: "string" };
  }

  function checkOutput(field: string, target: NamedStep, at: Place, isFanOut: boolean): Kind {
    const output = target.raw.output ?? {};
    const found = Object.hasOwn(output, field) ? output[field] : undefined;
    // Of several runs it is the list of what each has given.
    if (found) return isFanOut ? { type: "list" } : { type: found.type, ...optional("words", found.enum) };
    const nearest = reading.problems.nearest(field, Object.keys(output));
    addProblem(reading, at, {
      message: `Step ${quote(target.id)} declares no output ${quote(field)}${nearest ? `; ${quote(nearest)} may be meant` : ""}.`,
      ...optional("nearest", nearest),
      correction: nearest
        ? spellReference({ kind: "output", step: target.id, name: nearest })
        : `output: { ${onOneLine(field, 64)}: { type: string } }`,
    });
    return undefined;
  }
}
