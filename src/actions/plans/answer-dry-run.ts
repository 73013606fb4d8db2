import type { DryRun } from "../../plans/dry-run.js";
import type { SoundPlan } from "../../plans/language/check-plan.js";
import { cleanLine } from "../../shared/text.js";
import type { Answer } from "../answer.js";
import { tellChosen } from "./choose-for-steps.js";
import { describeDryRun, tellForeseen } from "./foresee.js";
import { fieldNameOf } from "./input-questions.js";
import { ownName } from "./plan-name.js";

/** What a plan would take that was checked, where only that was asked for. */
export function answerDryRun(
  { plan, missing, chosen }: Pick<SoundPlan, "plan" | "missing" | "chosen">,
  run: DryRun,
): Answer {
  const why = tellChosen({ chosen });
  const waves = describeDryRun(run).waves.map((wave, at) => `${at + 1}. ${wave.join(" · ")}`);
  const asks = missing.map(fieldNameOf);
  const name = ownName(plan);
  return {
    outcome: "ok",
    summary: [
      `The plan${name ? ` ${cleanLine(name, 60)}` : ""} has no mistakes. Nothing was begun.`,
      ...(asks.length > 0 ? [`It will ask for: ${asks.join(", ")}.`] : []),
      `It takes ${tellForeseen(run)}.`,
      ...(why ? [why] : []),
      ...run.warnings,
      ...waves,
    ].join("\n"),
    dry_run: describeDryRun(run),
  };
}
