import type { Clock } from "../../../shared/clock.js";
import { withDeadline } from "../../../shared/deadline.js";
import type { JsonRecord } from "../json.js";

/** How long the answer to a message may be away when the turn that it was put into has ended, in ms. */
const STEERING_MS = 5_000;

/** What is to be said to an agent while it works, or afterwards; each once, and in order. */
export interface Messages {
  /** @param message.id undefined for what is not a person's message */
  add(message: { id?: string | undefined; text: string }): void;
  /** A turn goes on into which messages can be put. */
  begun(): void;
  /** When the turn has ended: the texts that were not put into it. They count as taken. */
  take(): Promise<string[]>;
  /** Waits for something to say. @returns undefined when nothing will come any more */
  next(isOver: () => boolean): Promise<string | undefined>;
  /** Looks again whether anything will come. */
  wake(): void;
  close(): void;
}

interface Message {
  id?: string | undefined;
  text: string;
}

/**
 * @param options.steer puts a text into the turn that goes on; undefined when none goes on, or the agent cannot do that
 * @param options.onTaken the message is before the model
 */
export function createMessages(options: {
  clock: Clock;
  steer: (text: string) => Promise<JsonRecord> | undefined;
  onTaken: (messageId: string | undefined) => void;
}): Messages {
  let waiting: Message[] = [];
  /** The one that the agent has got and not confirmed. */
  let steering: Promise<void> | undefined;
  let wake = () => {};
  let isClosed = false;

  function taken(message: Message): void {
    if (message.id !== undefined) options.onTaken(message.id);
  }

  /** One after another, so that they come in order. */
  function steerNext(): void {
    const [message] = waiting;
    if (steering || !message) return;
    const answer = options.steer(message.text);
    if (!answer) return;
    const confirmed = answer.then(
      ({ outcome }) => outcome === "injected",
      () => false,
    );
    steering = confirmed.then((isIn) => {
      steering = undefined;
      // Taken already, as one that was not confirmed in time.
      if (waiting[0] !== message) return;
      // The turn was over: it opens another one.
      if (!isIn) return;
      waiting.shift();
      taken(message);
      steerNext();
    });
  }

  return {
    add(message) {
      if (isClosed) return;
      waiting.push(message);
      steerNext();
      wake();
    },
    begun: steerNext,
    async take() {
      const confirmed = steering;
      if (confirmed) await withDeadline(options.clock, STEERING_MS, () => confirmed);
      const texts = waiting;
      waiting = [];
      for (const message of texts) taken(message);
      return texts.map(({ text }) => text);
    },
    async next(isOver) {
      while (!isOver() && !isClosed && waiting.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      if (isOver() || isClosed) return undefined;
      const texts = waiting;
      waiting = [];
      for (const message of texts) taken(message);
      return texts.map(({ text }) => text).join("\n\n");
    },
    wake: () => wake(),
    close() {
      isClosed = true;
      waiting = [];
      wake();
    },
  };
}
