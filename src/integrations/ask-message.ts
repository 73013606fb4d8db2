import * as z from "zod";
import { LONG_PAUSES_MS, type Target } from "./target.js";

/** A question to a person as a message with buttons, as it lies in the outbox. All texts are cleaned and bounded. */
export const askMessageSchema = z.object({
  /** Names the question in its buttons: random, and of use once. */
  code: z.string(),
  title: z.string(),
  /** What it is about: a session, a plan and its step. */
  about: z.string(),
  detail: z.string(),
  choices: z.array(
    z.object({ title: z.string(), takesWords: z.boolean().optional(), weighty: z.boolean().optional() }),
  ),
  /** What a field for the person's own words is called; undefined where none is taken. */
  words: z.string().optional(),
  /** What is said in place of buttons where it cannot be answered from there. */
  hint: z.string().optional(),
  link: z.string().optional(),
  /** What has come of it; undefined while it is open. */
  outcome: z.string().optional(),
});

export type AskMessage = z.output<typeof askMessageSchema>;

/** What is the same of all targets that show questions. What is still open after an outage is asked then, and edited. */
export const questionTarget: Pick<Target, "describe" | "pausesMs"> = {
  describe: ({ payload }) => `The question "${(payload as Partial<AskMessage>).title ?? ""}"`,
  pausesMs: LONG_PAUSES_MS,
};

/** What a button, or words, mean. */
export interface GivenAnswer {
  code: string;
  /** The number of the choice, from 0; undefined for words alone. */
  choice: number | undefined;
  words?: string | undefined;
  user: { id: string; name: string };
}

/** Takes answers of one service up. */
export interface AnswerReceiver {
  /** @returns what the person who has given it is told, in a sentence */
  take(answer: GivenAnswer): Promise<string>;
  /** What a field for their words is called, where that button wants some and they may press it. */
  wordsFor(answer: GivenAnswer): Promise<string | undefined>;
  /** When the oldest question that is open was asked, epoch ms; undefined when none is. */
  openSince(): Promise<number | undefined>;
}

/** What a button carries. */
export function writeButton(code: string, choice: number | undefined): string {
  return `aw:${code}:${choice ?? "w"}`;
}

/** Undefined for what is no button of ours. */
export function readButton(text: unknown): { code: string; choice: number | undefined } | undefined {
  const [, code, choice] = /^aw:([\w-]{16,64}):(\d{1,2}|w)$/.exec(typeof text === "string" ? text : "") ?? [];
  if (code === undefined) return undefined;
  return { code, choice: choice === "w" ? undefined : Number(choice) };
}
