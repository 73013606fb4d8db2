import type { ChoiceView, NeedView } from "../dashboard/views/needs.js";
import type { AskMessage } from "../integrations/ask-message.js";
import { cleanLine } from "../shared/text.js";

/** What a service can show, and what its people may decide. */
export interface AskLimits {
  /** Whether all of a title and its detail is seen there. */
  fits(shown: { title: string; detail: string }): boolean;
  /** Whether somebody can write words there. */
  takesWords: boolean;
  /** How many buttons there are at the most. */
  buttons: number;
  /** Whether permissions are answered from outside at all. */
  permissions: boolean;
}

/** Longer titles are not seen whole on a button everywhere, in characters. */
const LABEL_CHARS = 75;
const BY_WINDOW = "Answer it in a chat window or the dashboard.";

/** The need as a message of a service, with the buttons by which it can be answered there. */
export function toAsk(need: NeedView, code: string, limits: AskLimits, dashboardUrl?: string): AskMessage {
  const { title, detail = "" } = need;
  const hint = whyNotThere(need, limits);
  const buttons = hint === undefined ? choicesFor(need, limits) : [];
  const words = hint === undefined && limits.takesWords && need.words?.alone ? need.words.label : undefined;
  const link = linkTo(need, dashboardUrl);
  return {
    code,
    title,
    about: tellAbout(need),
    detail: limits.fits({ title, detail })
      ? detail
      : `${cleanLine(detail, 300)}\n(There is more: see the dashboard.)`,
    choices: buttons.map(({ title: label, takesWords, weighty }) => ({
      title: label,
      ...(takesWords ? { takesWords } : {}),
      ...(weighty ? { weighty } : {}),
    })),
    ...(words ? { words } : {}),
    ...(hint ? { hint } : buttons.length === 0 && !words ? { hint: BY_WINDOW } : {}),
    ...(link ? { link } : {}),
  };
}

/**
 * The choices that have buttons, in the order of these. What lets an agent do something has one only where all of its title
 * is seen, and a no has one in any case.
 */
export function choicesFor({ choices, several }: NeedView, limits: AskLimits): ChoiceView[] {
  if (several) return [];
  const possible = choices.filter(
    ({ title, takesWords, weighty }) =>
      (!takesWords || limits.takesWords) && (!weighty || title.length <= LABEL_CHARS),
  );
  const first = possible.slice(0, limits.buttons);
  const no = possible.find(({ weighty }) => !weighty);
  return !no || first.includes(no) ? first : [...first.slice(0, -1), no];
}

/** Why a need cannot be decided from there, as a sentence; undefined where it can. */
export function whyNotThere(need: NeedView, { fits, permissions }: AskLimits): string | undefined {
  if (!need.call) return BY_WINDOW;
  if (need.kind !== "permission") return undefined;
  if (!permissions) return `Permissions are not given from here. ${BY_WINDOW}`;
  // What is allowed has to be seen whole.
  const { title, detail = "" } = need;
  const isWhole = !need.cut && fits({ title, detail }) && !title.endsWith("\u2026");
  return isWhole ? undefined : `It is too long to be shown here in full. ${BY_WINDOW}`;
}

function tellAbout({ session, workflow, plan, step }: NeedView): string {
  const parts = [
    plan ? `plan ${plan}` : undefined,
    step ? `step ${step}` : undefined,
    session && !plan ? `session ${session}` : undefined,
    workflow || undefined,
  ];
  return cleanLine(parts.filter(Boolean).join(" · ") || "a run", 300);
}

function linkTo({ planId, runId }: NeedView, dashboardUrl: string | undefined): string | undefined {
  if (dashboardUrl === undefined) return undefined;
  const place = planId ? `plans/${encodeURIComponent(planId)}` : `runs/${encodeURIComponent(runId ?? "")}`;
  return `${dashboardUrl}/#/${place}`;
}
