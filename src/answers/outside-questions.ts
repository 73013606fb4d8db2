import { randomBytes } from "node:crypto";
import type { Services } from "../actions/define-action.js";
import type { Board } from "../dashboard/board.js";
import type { NeedView } from "../dashboard/views/needs.js";
import type { AskMessage, GivenAnswer } from "../integrations/ask-message.js";
import { showByDelivery, showEndByDelivery } from "../integrations/outbox.js";
import type { Log } from "../shared/log.js";
import { cleanLine } from "../shared/text.js";
import type { OutsideService } from "../shared/whose.js";
import type { Database, Transaction } from "../store/database.js";
import { applyAnswer } from "./apply.js";
import { lookAtNeed, type Over } from "./outcome.js";
import {
  addQuestion,
  closeQuestion,
  findQuestion,
  listOpen,
  type OutsideQuestion,
  takeQuestion,
  wasAsked,
  whoAnswered,
} from "./questions.js";
import { type AskLimits, choicesFor, toAsk, whyNotThere } from "./to-ask.js";

/** A service by which people are asked. */
export interface AskedBy extends AskLimits {
  service: OutsideService;
  /** As a person calls it. */
  title: string;
  /** The target of the outbox that shows its messages. */
  target: string;
  /** Who may answer: ids by which the service names people. */
  people: readonly string[];
}

export interface OutsideQuestionsOptions {
  services: Services;
  board: Pick<Board, "now" | "read">;
  asked: readonly AskedBy[];
  /** Which workflows API it is. */
  upstream: string;
  dashboardUrl: string | undefined;
  /** Writes a change; the time is the database's. */
  change: <T>(work: (trx: Transaction, now: number) => Promise<T>) => Promise<T>;
  read: <T>(work: (db: Database) => Promise<T>) => Promise<T>;
  /** Something was written for the outbox. */
  onWritten: () => void;
  /** What waits for so long is asked outside, in ms; ten seconds unless told. */
  askAfterMs?: number | undefined;
  /** Whether it is this process that asks and gives the answers: of several that take some, one does. */
  isAsking: () => boolean;
  log: Log;
  signal: AbortSignal;
}

/** What waits for so long, in ms, is asked outside: who is at a window has answered most of it by then. */
const ASK_AFTER_MS = 10_000;
const NAME_CHARS = 60;

/** Puts to people what needs them, and gives their answers. */
export interface OutsideQuestions {
  /**
   * Brings what is asked outside to what there is to ask, and what was answered to where it belongs; nothing where another
   * process does. Never throws.
   */
  bringUpToDate(): Promise<void>;
  /** Takes an answer up. @returns what the person is told */
  take(asked: AskedBy, given: GivenAnswer): Promise<string>;
  /** What a field for words is called, where the button wants some and the person may press it. */
  wordsFor(asked: AskedBy, given: GivenAnswer): Promise<string | undefined>;
  /** Whether something is asked outside that is open. */
  hasOpen(): boolean;
}

export function createOutsideQuestions(options: OutsideQuestionsOptions): OutsideQuestions {
  const { services, board, asked, upstream, dashboardUrl, change, read, onWritten, log, signal } = options;
  const { isAsking, askAfterMs = ASK_AFTER_MS } = options;
  const { clock } = services;
  /** Since when each need is there, by the monotonic clock: the one that it tells may be set meanwhile. */
  const firstSeen = new Map<string, number>();
  let openCount = 0;

  const show = (one: AskedBy, { code, need }: Pick<OutsideQuestion, "code" | "need">, outcome?: string) => {
    const message: AskMessage = { ...toAsk(need, code, one, dashboardUrl), ...(outcome ? { outcome } : {}) };
    return { id: `ask/${code}`, target: one.target, kind: "question", payload: message };
  };

  async function askNew(needs: readonly NeedView[]): Promise<void> {
    for (const id of firstSeen.keys()) if (!needs.some((need) => need.id === id)) firstSeen.delete(id);
    const due = needs.filter(({ id, since }) => {
      const thereMs = since === undefined ? 0 : Math.max(0, clock.now() - since);
      const seen = firstSeen.get(id) ?? clock.elapsed() - thereMs;
      firstSeen.set(id, seen);
      return clock.elapsed() - seen >= askAfterMs;
    });
    if (due.length === 0) return;
    const known = await read((db) => listOpen(db, upstream));
    for (const need of due)
      for (const one of asked) {
        if (known.some(({ needId, service }) => needId === need.id && service === one.service)) continue;
        const code = randomBytes(18).toString("base64url");
        await change(async (trx, now) => {
          const question = { code, needId: need.id, service: one.service, need };
          if (await wasAsked(trx, { upstream, ...question })) return;
          await addQuestion(trx, upstream, question, now);
          await showByDelivery(trx, show(one, question), now);
        });
        onWritten();
      }
  }

  /** Gives what was answered to where it belongs, also what a former process has left. */
  async function applyTaken(question: OutsideQuestion): Promise<void> {
    const { need, answer = "", answeredBy = "somebody", service, code } = question;
    const one = asked.find((candidate) => candidate.service === service);
    // It is not set any more.
    if (!one) return closeIfOver(question);
    // A former process may have given it, and elsewhere somebody may have been first.
    const stands = await lookAtNeed(need, services, signal);
    if (stands !== "open") return closeOver(question, stands);
    const given = { answer, person: answeredBy, service: one.service };
    const applied = await applyAnswer(need, given, services, signal);
    if ("again" in applied) {
      log.debug(`An answer by ${one.title} could not be given yet: ${applied.again}`);
      return;
    }
    await close(question, `${answeredBy} by ${one.title}: ${applied.done}`, applied.counts);
    const what = `${cleanLine(need.title, 100)} (${code.slice(0, 4)}\u2026)`;
    log.info(`${applied.counts ? "Answered" : "An answer that does not count"} by ${one.title}: ${what}.`);
  }

  async function closeIfOver(question: OutsideQuestion): Promise<void> {
    const stands = await lookAtNeed(question.need, services, signal);
    if (stands !== "open") await closeOver(question, stands);
  }

  /** It was decided in this place or in another one, as far as that is known. */
  async function closeOver(question: OutsideQuestion, { over, via }: Over): Promise<void> {
    const who = await read((db) => whoAnswered(db, upstream, question.needId));
    const where = asked.find(({ service }) => service === who?.service)?.title;
    const isKnown = via === undefined && who?.isGiven && where !== undefined;
    await close(question, isKnown ? `Answered by ${who.by} in ${where}.` : over, via === question.service);
  }

  /** @param counts whether the answer that was given here does */
  async function close(question: OutsideQuestion, outcome: string, counts: boolean): Promise<void> {
    const one = asked.find(({ service }) => service === question.service);
    await change(async (trx, now) => {
      await closeQuestion(trx, question.code, counts, now);
      if (one) await showEndByDelivery(trx, show(one, question, cleanLine(outcome, 500)), now);
    });
    onWritten();
  }

  async function goOn(): Promise<void> {
    const { needs, problem } = await board.read();
    const open = await read((db) => listOpen(db, upstream));
    const isOver = ({ needId }: OutsideQuestion) => !needs.some(({ id }) => id === needId);
    for (const question of open) if (question.state === "taken") await tolerate(() => applyTaken(question));
    // What was answered here is known by then.
    for (const question of open)
      if (question.state === "open" && isOver(question)) await tolerate(() => closeIfOver(question));
    if (problem === undefined) await askNew(needs);
    openCount = (await read((db) => listOpen(db, upstream))).length;
  }

  /** What cannot be known or done now is looked at again. */
  async function tolerate(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted)
        log.debug(`A question that is asked outside was left: ${(error as Error).message}`);
    }
  }

  let running: Promise<void> | undefined;
  let isWanted = false;

  async function run(): Promise<void> {
    do {
      isWanted = false;
      await tolerate(goOn);
    } while (isWanted && !signal.aborted);
  }

  function mayAnswer({ people, title }: AskedBy, { user }: GivenAnswer): boolean {
    if (people.includes(user.id)) return true;
    log.warn(
      `Somebody who may not answer has tried to by ${title}: ${cleanLine(`${user.name} (${user.id})`, NAME_CHARS)}.`,
    );
    return false;
  }

  return {
    async bringUpToDate() {
      if (!isAsking()) return;
      isWanted = true;
      running ??= run().finally(() => {
        running = undefined;
      });
      await running;
    },
    hasOpen: () => openCount > 0,
    async wordsFor(one, given) {
      const question = await read((db) => findQuestion(db, given.code));
      if (question?.state !== "open" || question.service !== one.service) return undefined;
      if (!one.people.includes(given.user.id) || whyNotThere(question.need, one)) return undefined;
      if (given.choice === undefined)
        return question.need.words?.alone ? question.need.words.label : undefined;
      const choice = choicesFor(question.need, one)[given.choice];
      return choice?.takesWords ? (question.need.words?.label ?? "Your words") : undefined;
    },
    async take(one, given) {
      if (!mayAnswer(one, given)) return "You are not among those who may answer here. Nothing was changed.";
      const question = await read((db) => findQuestion(db, given.code));
      if (!question || question.service !== one.service)
        return "This is not known here (any more). Nothing was changed.";
      const why = whyNotThere(question.need, one);
      if (why) return `${why} Nothing was changed.`;
      const answer = readAnswer(question.need, one, given);
      if (answer === undefined) return "It is not clear which answer is meant. Nothing was changed.";
      const answeredBy = cleanLine(given.user.name || given.user.id, NAME_CHARS);
      const mine = { answer, answeredBy };
      const first = await change((trx, now) => takeQuestion(trx, upstream, given.code, mine, now));
      if (first)
        return first.by === undefined
          ? "This is not open any more. Nothing was changed."
          : `${first.by} has answered this before. Nothing was changed.`;
      void this.bringUpToDate();
      return "Your answer is being given.";
    },
  };
}

/** What is sent for a button with the words behind it; undefined where they are missing. */
function readAnswer(
  need: NeedView,
  limits: AskLimits,
  { choice, words = "" }: GivenAnswer,
): string | undefined {
  const said = words.trim();
  if (choice === undefined) return need.words?.alone && said ? said : undefined;
  const meant = choicesFor(need, limits)[choice];
  if (!meant) return undefined;
  if (!meant.takesWords) return meant.value;
  return said ? `${meant.value}${said}` : undefined;
}
