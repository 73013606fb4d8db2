import { checkPlan } from "../plans/language/check-plan.js";
import { isPlanName } from "../plans/language/plain-value.js";
import { describeProblem } from "../plans/language/problems.js";
import { cleanLine } from "../shared/text.js";
import type { TemplateInfo, TemplateSource } from "./templates.js";

/** A file of a folder of templates: its text, or why it is left out. */
export type TemplateFile = { name: string; text: string } | { name: string; reason: string };

/** A plan that a person writes has some kilobytes. */
export const MAX_TEMPLATE_BYTES = 256 * 1024;
/** So many are listed of one place; more files there are no templates that somebody looks through. */
export const MAX_TEMPLATES = 100;

/** All of a repository's together: reading what others have written for it may take seconds for each megabyte. */
export const MAX_TOTAL_BYTES = 1024 * 1024;

const MAX_DESCRIPTION_CHARS = 300;
const NAME_RULE =
  "small letters, digits, - and _, beginning with a letter, at most 63 characters, and then .yaml";

/**
 * The template's name of a file's, as `ship-feature.yaml`.
 * @returns `reason`: the end of a sentence; undefined for a file that is nobody's mistake (a README, a hidden one)
 */
export function readFileName(file: string): { name: string } | { name: string; reason: string } | undefined {
  const [, stem, ending] = /^([^.].*)\.(yaml|yml|json)$/i.exec(file) ?? [];
  if (stem === undefined) return undefined;
  const shown = cleanLine(file, 80);
  if (ending !== "yaml") return { name: shown, reason: "its name must end in .yaml" };
  return isPlanName(stem) ? { name: stem } : { name: shown, reason: `its name must have ${NAME_RULE}` };
}

/** What lists tell of a file; whether its workflows are there is looked at when it is begun. */
export async function describeFile(file: TemplateFile, source: TemplateSource): Promise<TemplateInfo> {
  const { name } = file;
  if ("reason" in file) return { name, source, inputs: {}, problem: tellReason(name, file.reason) };
  const checked = await checkPlan(file.text, { name });
  if ("problems" in checked) {
    const [first] = checked.problems;
    const count = checked.problems.length;
    const problem =
      `The template "${name}" is no plan that can be begun: ${count === 1 ? "a mistake" : `${count} mistakes, the first`}: ` +
      cleanLine(first ? describeProblem(first) : "", 400);
    return { name, source, inputs: {}, problem };
  }
  const { description, inputs } = checked.plan;
  const line = description === undefined ? undefined : cleanLine(description, MAX_DESCRIPTION_CHARS);
  return { name, source, ...(line ? { description: line } : {}), inputs };
}

/** Why a file is no template, as a sentence. */
export function tellReason(name: string, reason: string): string {
  return `The template "${name}" is left out: ${reason}.`;
}
