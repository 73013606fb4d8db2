import { type FigureSums, GROUPINGS, groupFigures } from "../history/group-figures.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { type FigureChoice, MEASURES } from "./figure-choice.js";
import { tellAutomatic } from "./forms/ask-to-choose.js";
import type { Question } from "./forms/form-client.js";

const HISTORY_PARAMETERS = ["by", "days", "figure"] as const;
type HistoryArguments = Arguments<(typeof HISTORY_PARAMETERS)[number]>;

const DAY_MS = 86_400_000;
/** So many groups are told. */
const MOST_GROUPS = 40;
/** Where nobody has ever chosen. */
const USUAL: FigureChoice = { by: "workflow", figure: "all", days: 30 };

/** Tells what ended runs and plans have taken; which figures is asked where that is left open. */
export const historyAction = defineAction({
  name: "history",
  toolName: "show_history",
  title: "Show figures of ended runs",
  summary: `figures of ended runs: by (${GROUPINGS.join("|")}), days, figure; the person is asked for the rest.`,
  description: `Run figures: by (${GROUPINGS.join("|")}), days, figure (${MEASURES.join("|")}); a form asks the rest.`,
  searchHint: "history figures cost success rate runs workflows spend automagik",
  parameters: HISTORY_PARAMETERS,
  // Every chat pays for each that is published.
  unpublished: HISTORY_PARAMETERS,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  answerParts: ["figures"],

  async handle(args: HistoryArguments, call: Call, services: Services): Promise<Answer> {
    const { choice, note, ended } = await complete(args, call, services);
    if (ended) return ended;
    const { sessions, clock } = services;
    const since = choice.days === 0 ? 0 : clock.now() - choice.days * DAY_MS;
    const { figures } = await sessions.history.read();
    const { groups, total } = groupFigures(figures, { by: choice.by, since });
    const shown = choice.by === "day" ? groups.slice(-MOST_GROUPS) : groups.slice(0, MOST_GROUPS);
    const left = groups.length - shown.length;
    return {
      outcome: "ok",
      summary: [
        tellTotal(total.sums, choice),
        left > 0 ? `Of ${groups.length} groups ${shown.length} are shown.` : "",
        note,
      ]
        .filter(Boolean)
        .join(" "),
      figures: {
        ...choice,
        groups: [...shown, ...(groups.length > 1 ? [total] : [])].map(({ sums }) => toGroup(sums)),
      },
    };
  },
});

function tellTotal({ runs }: FigureSums, { by, days }: FigureChoice): string {
  const what = by === "template" ? "plan" : "run";
  const when = days === 0 ? "" : ` in the last ${days} day${days === 1 ? "" : "s"}`;
  if (runs === 0) return `No ${what} has ended${when}, as far as the history here knows.`;
  return `${runs} ${what}${runs === 1 ? " has" : "s have"} ended${when}, by ${by}.`;
}

function toGroup(sums: FigureSums): NonNullable<Answer["figures"]>["groups"][number] {
  const { label, runs, succeeded, failed, killed, costUsd, costUnknown, turns, seconds, waitedS } = sums;
  return {
    name: label,
    runs,
    succeeded,
    failed,
    killed,
    cost_usd: Math.round(costUsd * 100) / 100,
    ...(costUnknown > 0 ? { cost_unknown: costUnknown } : {}),
    ...(turns ? { turns: turns.median, turns_p90: turns.p90 } : {}),
    ...(seconds ? { seconds: Math.round(seconds.median), seconds_p90: Math.round(seconds.p90) } : {}),
    waited_s: Math.round(waitedS),
  };
}

const CHOICES: Record<keyof FigureChoice, { title: string; values: readonly (readonly [string, string])[] }> =
  {
    figure: {
      title: "Which figures",
      values: [
        ["all", "All of them"],
        ["runs", "How many runs"],
        ["success", "How many succeeded"],
        ["cost", "Cost"],
        ["turns", "Turns"],
        ["time", "Time"],
        ["waiting", "Waiting for people"],
      ],
    },
    days: {
      title: "Of which time",
      values: [
        ["7", "The last 7 days"],
        ["30", "The last 30 days"],
        ["90", "The last 90 days"],
        ["0", "Everything that is known"],
      ],
    },
    by: {
      title: "In groups by",
      values: [
        ["workflow", "Workflow"],
        ["template", "Template of a plan"],
        ["repository", "Repository"],
        ["day", "Day"],
      ],
    },
  };

/** What the call says, and of what it leaves open what the person says; `ended` when they want none. */
async function complete(
  given: HistoryArguments,
  call: Call,
  { figureChoices }: Services,
): Promise<{ choice: FigureChoice; note: string; ended?: Answer }> {
  const told = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const usual = { ...USUAL, ...(await figureChoices.last()) };
  const choice: FigureChoice = { ...usual, ...told };
  const open = (Object.keys(CHOICES) as (keyof FigureChoice)[]).filter((name) => given[name] === undefined);
  if (open.length === 0) return { choice, note: "" };
  const questions = open.map((name) => toQuestion(name, String(usual[name])));
  const answer = await call.forms.ask("Which figures of ended runs do you want to see?", questions);
  if (answer.kind === "accepted") {
    const chosen = readChoice({ ...choice, ...onlyGiven(answer.values) });
    await figureChoices.keep(chosen);
    return { choice: chosen, note: "" };
  }
  const byItself = "byClient" in answer && answer.byClient;
  if (answer.kind === "not_asked" || byItself) {
    const why = byItself ? `${tellAutomatic(answer.kind as "declined")} ` : "";
    const others = open.map((name) => `\`${name}\` (${valuesOf(name)})`).join(", ");
    return { choice, note: `${why}Nobody was asked which; others are had by ${others}.` };
  }
  const summary = `The person ${answer.kind === "declined" ? "declined" : "did not say which figures they want"}. Nothing was read.`;
  return { choice, note: "", ended: { outcome: answer.kind, summary } };
}

function toQuestion(name: keyof FigureChoice, suggestion: string): Question {
  const { title, values } = CHOICES[name];
  const isListed = values.some(([value]) => value === suggestion);
  return {
    name,
    title,
    description: title,
    required: true,
    suggestion: isListed ? suggestion : String(USUAL[name]),
    choices: values.map(([value, shown]) => ({ value, title: shown })),
  };
}

function valuesOf(name: keyof FigureChoice): string {
  return name === "days" ? "a number, 0 for all" : CHOICES[name].values.map(([value]) => value).join(", ");
}

const onlyGiven = (values: Record<string, string | undefined>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));

/** What came back of a form may be anything; what was not offered counts as not chosen. */
function readChoice(values: Record<string, unknown>): FigureChoice {
  const days = Number(values.days);
  return {
    by: GROUPINGS.find((one) => one === values.by) ?? USUAL.by,
    figure: MEASURES.find((one) => one === values.figure) ?? USUAL.figure,
    days: Number.isInteger(days) && days >= 0 && days <= 3_650 ? days : USUAL.days,
  };
}
