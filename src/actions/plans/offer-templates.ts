import type { Figures } from "../../history/figures.js";
import { findRecurring } from "../../history/recurring.js";
import { nameFrom } from "../../plans/language/plain-value.js";
import { shellWord } from "../../shared/shell-word.js";
import { cleanLine } from "../../shared/text.js";

/**
 * What sessions have gone through well again and again, each with the command that makes a template of it: sentences.
 * Nothing is saved by it.
 * @param options.repository only of this one, where it is known
 * @param options.templates names of those that there are: what has become one is not offered again
 */
export function offerTemplates(
  figures: readonly Figures[],
  options: { repository?: string | undefined; templates: readonly string[] },
): string[] {
  return findRecurring(figures, options.repository).flatMap(({ workflows, times, session }) => {
    const name = nameFrom(workflows.join("-")) || "my-plan";
    if (options.templates.includes(name)) return [];
    const where = options.repository === undefined ? "" : " in this repository";
    const what = cleanLine(workflows.join(" \u2192 "), 200);
    return [
      `${what}, ${times} times${where}: save it as a plan? In a terminal: ` +
        `automagik-workflows-mcp plan save ${shellWord(cleanLine(session, 100))} ${name}`,
    ];
  });
}
