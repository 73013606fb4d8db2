import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { ActionName, FormView } from "../../views/calls.js";

/** What has come of an action. */
export interface Outcome {
  ok: boolean;
  /** For a person. */
  text: string;
  /** What a check wrote. */
  detail?: string;
}

/** Carries an action out and tells what came of it; how, is the business of whoever shows these parts. */
export type Act = (action: ActionName, given: Record<string, unknown>) => Promise<Outcome>;

/** How a form is shown. */
export interface FormLook {
  /** A yes throws something away or ends it. */
  ends?: boolean;
  /** What stands on its button, where that is not the end of it. */
  send?: string;
}

/** Shows the person a form; undefined when they close it. Nothing is sent. */
export type Ask = (form: FormView, look?: FormLook) => Promise<Record<string, string> | undefined>;

/** Whether an action ends something, or throws it away. */
export function endsSomething(action: ActionName, { answer }: Record<string, unknown>): boolean {
  return action === "kill" || action === "discard" || (action === "answer" && answer === "stop");
}

/** Where runs and plans are shown by themselves; without an address a name is plain text. */
export interface Links {
  run?(runId: string): string;
  plan?(planId: string): string;
}

const ActContext = createContext<Act>(async () => ({ ok: false, text: "Nothing can be done from here." }));
const AskContext = createContext<Ask>(async () => undefined);
const LinksContext = createContext<Links>({});

export const ActProvider = ActContext.Provider;
export const AskProvider = AskContext.Provider;
export const LinksProvider = LinksContext.Provider;
export const useAct = (): Act => useContext(ActContext);
export const useAsk = (): Ask => useContext(AskContext);
export const useLinks = (): Links => useContext(LinksContext);
