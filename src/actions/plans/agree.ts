import type { FoundTemplate } from "../../plan-templates/templates.js";
import type { DryRun } from "../../plans/dry-run.js";
import type { MergeStep, Plan, RunStep } from "../../plans/plan.js";
import { soleReference } from "../../plans/references.js";
import { asCode, readCheckCommand } from "../../shared/check-command.js";
import { cleanLine, cleanText } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { tellEffort } from "./foresee.js";
import { tellCost } from "./tell-start.js";

const NOTHING = "Nothing was begun.";
/** A form shows so much of what agents are told, in characters: of one step, and of all. */
const TASK_CHARS = 300;
const STEPS_CHARS = 4_000;
/** What is to be read exactly stands where it is seen: a form with more lines is scrolled over. */
const COMMANDS_A_FORM = 3;
/** Of a template's digest: whoever writes the template can find two texts with the same dozen. */
const DIGEST_CHARS = 32;

/** The commands that the plan's merges run on the engine's machine. @throws ActionError for one that nobody could agree to */
export function checkCommandsOf(plan: Plan): string[] {
  const checks = plan.steps.filter((step): step is MergeStep => step.kind === "merge");
  const commands = checks.flatMap(({ id, check }) => {
    if (check === undefined) return [];
    // It was filled already: filled once more it would be another command than is agreed to.
    if (soleReference(check))
      throw new ActionError(
        `Step ${id}: its check would be ${cleanLine(check, 100)}, which is no command. ${NOTHING}`,
      );
    const read = readCheckCommand(check);
    if (!read.ok) throw new ActionError(`Step ${id}: ${read.problem} ${NOTHING}`);
    return [read.value];
  });
  return [...new Set(commands)];
}

/** What of a plan needs a person's word before it begins, or before it becomes another one; the reasons as sentences. */
export interface AgreementNeeded {
  commands: readonly string[];
  template?: FoundTemplate;
  /** More runs, or a higher cost, than may begin unasked. */
  isLarge: boolean;
}

/** @param known commands that were agreed to before */
export function findAgreement(
  plan: Plan,
  foreseen: DryRun,
  template: FoundTemplate | undefined,
  { settings }: Services,
  known: readonly string[] = [],
): AgreementNeeded | undefined {
  const commands = checkCommandsOf(plan).filter((command) => !known.includes(command));
  const cost = foreseen.costUsd ?? foreseen.knownCostUsd ?? 0;
  const isLarge = foreseen.runs.expected > settings.planAskAboveRuns || cost > settings.planAskAboveUsd;
  const isUntrusted = template !== undefined && !template.isTrusted;
  if (commands.length === 0 && !isLarge && !isUntrusted) return undefined;
  return { commands, isLarge, ...(isUntrusted ? { template } : {}) };
}

/** By what a person agrees to it in advance, each bound to what it is about: a command, a template's text, a number. */
function wordsToAgree({ commands, template, isLarge }: AgreementNeeded, { runs }: DryRun): string[] {
  return [
    ...commands,
    ...(template ? [`${template.name}@${template.digest.slice(0, DIGEST_CHARS)}`] : []),
    ...(isLarge ? [`${runs.expected} runs`] : []),
  ];
}

/**
 * Asks the person for everything that needs their word, in one form, unless they have given it in advance.
 * @returns the answer that the call ends with when they do not agree
 */
export async function agreeToPlan(
  needed: AgreementNeeded,
  plan: Plan,
  foreseen: DryRun,
  ask: {
    deed: string;
    /** Where the work goes. */
    place?: string | undefined;
    /** What the person has to see beside the rest, in lines. */
    details?: readonly string[];
    arguments: Record<string, unknown>;
    confirm: boolean | undefined;
    /** The deed is more than what can be agreed to word for word. */
    isMore?: boolean;
    untouched: string;
  },
  call: Call,
  services: Services,
): Promise<Answer | undefined> {
  const { commands, template } = needed;
  const { agreed } = call;
  const all = wordsToAgree(needed, foreseen);
  const words = all.filter((word) => !agreed?.includes(word));
  if (agreed && words.length === 0 && (ask.confirm || (all.length > 0 && !ask.isMore))) return undefined;
  const where =
    services.settings.engine === "local" ? "on this machine as you" : "on the engine's machine as its user";
  const groups = Array.from({ length: Math.max(1, Math.ceil(commands.length / COMMANDS_A_FORM)) }, (_, at) =>
    commands.slice(at * COMMANDS_A_FORM, (at + 1) * COMMANDS_A_FORM),
  );
  // A client may show no more than the beginning of a form, and cut long lines.
  const deed = `${ask.deed} (${tellCost(foreseen, plan)})${ask.place ? ` in ${ask.place}` : ""}`;
  for (const [at, group] of groups.entries()) {
    const isLast = at === groups.length - 1;
    const lines = [
      ...group.map((command) => `Run ${asCode(command)} ${where}, on what agents have written.`),
      ...(isLast ? (ask.details ?? []) : []),
      ...(isLast && template ? [`From ${cleanLine(template.from, 90)}: nobody has agreed to it yet.`] : []),
      ...(isLast ? [`Foreseen: ${tellEffort(foreseen)}.`] : []),
      ...(isLast && template ? tellSteps(plan) : []),
    ];
    const ended = await confirmWithPerson(
      {
        action: "plan",
        deed: groups.length > 1 ? `${deed}, part ${at + 1} of ${groups.length}` : deed,
        detail: lines.join("\n"),
        tellsDetail: true,
        arguments: ask.arguments,
        // A yes in advance says nothing of what is to be agreed to word for word.
        confirm: agreed && words.length > 0 ? undefined : ask.confirm,
        untouched: ask.untouched,
      },
      call,
    );
    // Who has said no was asked: the words by which to agree unasked are for those who cannot be.
    if (ended)
      return agreed && ended.outcome === "input_required"
        ? { ...ended, missing: [...(ended.missing ?? []), ...words.map(askForWord)] }
        : ended;
  }
  return undefined;
}

function askForWord(word: string): NonNullable<Answer["missing"]>[number] {
  return { name: "agree", description: word, required: true };
}

/** What its agents are told, bounded; that there is more is said. */
function tellSteps({ steps, description = "" }: Plan): string[] {
  const texts = steps.map((step) => {
    switch (step.kind) {
      case "run":
        return [`- ${step.id} (${step.workflow}): `, tellTask(step, description)] as const;
      case "gate":
        return [`- ${step.id} asks you: `, step.question] as const;
      case "merge":
        return [`- ${step.id} merges the branches of ${step.merge}`, ""] as const;
    }
    return ["", ""] as const;
  });
  const lines = texts.map(([before, text]) => `${before}${cleanLine(text, TASK_CHARS)}`);
  const all = cleanText(lines.join("\n"), STEPS_CHARS);
  const isWhole = all === lines.join("\n") && texts.every(([, text]) => isWholeIn(text, TASK_CHARS));
  return [...all.split("\n"), ...(isWhole ? [] : [NOT_ALL])];
}

const NOT_ALL = "Not all of it is shown here. Read the plan's file in the repository before you agree.";

/** What an agent is told of the plan's own words: its task, and what it has to give. */
function tellTask({ task, output = {} }: RunStep, description: string): string {
  const fields = Object.entries(output).flatMap(([name, field]) =>
    field.description === undefined ? [] : [`${name}: ${field.description}`],
  );
  const gives = fields.length > 0 ? [`It gives ${fields.join("; ")}`] : [];
  return [task ?? (description || "goes on with what was left"), ...gives].join(" ");
}

function isWholeIn(text: string, limit: number): boolean {
  return cleanLine(text, limit) === cleanLine(text, Number.POSITIVE_INFINITY);
}
