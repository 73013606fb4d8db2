import type { Target } from "../integrations/target.js";
import { cleanLine } from "../shared/text.js";
import type { OutsideService } from "../shared/whose.js";
import { type Notice, TITLE_CHARACTERS } from "./notice.js";

/** A way by which a person is told. */
export interface Channel {
  /** Stored with what it has told: never changed, no secret. */
  name: string;
  /** What it is called among figures and in the log; the name unless told. */
  label?: string;
  /** It knows a notice by its id: one that may have arrived can be sent again. */
  knowsIds?: boolean;
  /** The service that asks people as well: what it has asked it does not tell besides. */
  asks?: OutsideService | undefined;
  /**
   * Tells it, within some seconds.
   * @param signal the process ends
   * @throws Refused, NotNow or Unknown of `integrations/delivery-error.ts`, which say in a few words what went wrong,
   * without secrets
   */
  send(notice: Notice, signal: AbortSignal): Promise<void>;
}

/** The channel as a target of the outbox. */
export function targetOf({ name, label = name, knowsIds = false, send }: Channel): Target {
  return {
    name,
    label,
    isRepeatable: () => knowsIds,
    async deliver({ payload }, signal) {
      await send(payload as Notice, signal);
      return {};
    },
    describe: ({ payload }) => `The notification "${titleOf(payload)}"`,
  };
}

function titleOf(payload: unknown): string {
  return cleanLine(String((payload as Partial<Notice>).title ?? ""), TITLE_CHARACTERS);
}
