import type { RunQuestion } from "../../api/types.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";

/** One choice of an answer. */
export interface ChoiceView {
  /** What is sent as `answer`. */
  value: string;
  title: string;
  description?: string;
  /** The words of {@link NeedView.words} are sent behind it: `answer` is `value` + words. */
  takesWords?: true;
  /** It lets an agent do something, or decides for good: the page does not make it the one that Enter takes. */
  weighty?: true;
}

/** Something that waits for a person, with what is needed to answer right there. */
export interface NeedView {
  /** Stays the same as long as it is the same thing. */
  id: string;
  /** `agreement`: to a number of runs. `lost`, `blocked`: a step that wants a change of its plan. */
  kind: RunQuestion["kind"] | WaitingFor["kind"];
  since?: number;
  /** What is asked, on one line. */
  title: string;
  /** What is needed to decide; may have lines. Of a gate those that begin with "> " are others' words. */
  detail?: string;
  /** Not all of it can be shown: it cannot be allowed from here. */
  cut?: true;
  session?: string;
  workflow?: string;
  runId?: string;
  planId?: string;
  plan?: string;
  step?: string;
  choices: ChoiceView[];
  /** Several of the choices may be given; `answer` is then their values, joined by ", ". */
  several?: true;
  /** A field for the person's own words: alone (a question), or behind a choice that takes words. */
  words?: { label: string; alone: boolean };
  /** What is sent to /api/actions, completed by `answer`; missing where nothing answers it. */
  call?: { action: "answer"; arguments: Record<string, string> };
  /** Of a lost or blocked step, what may be done with it; done again it may take the person's words. */
  change?: { step: string; may: StepChange[]; takesWords?: true };
}

/** What a person may do with a step of a plan, as `change` of the action `plan`. */
export type StepChange = "skip" | "redo";
