import type { PlanCommand } from "../plans/machine/commands.js";
import type { Clock } from "../shared/clock.js";
import { cleanLine, cleanText } from "../shared/text.js";
import type { PlanNow, Trouble } from "./port.js";

const REASON_CHARS = 2_000;
const ACTION_CHARS = 160;

/** What is seen of a plan that is carried out here, besides its state. */
export interface WatchedNow {
  get(): PlanNow;
  /** @param reason undefined when it works */
  setTrouble(command: PlanCommand, reason: string | undefined): void;
  /** @param text undefined when nobody knows what the run does */
  setAction(key: string, text: string | undefined): void;
  /** The command is not wanted any more. */
  forget(id: string): void;
}

/** @param onChange called after each change */
export function createWatchedNow(options: { clock: Pick<Clock, "now">; onChange: () => void }): WatchedNow {
  const { clock, onChange } = options;
  const troubles = new Map<string, Trouble>();
  const actions = new Map<string, string>();
  let snapshot: PlanNow | undefined;

  function changed(): void {
    snapshot = undefined;
    onChange();
  }

  return {
    get() {
      snapshot ??= { troubles: [...troubles.values()], actions: new Map(actions) };
      return snapshot;
    },
    setTrouble(command, text) {
      const { id } = command;
      if (text === undefined) {
        if (troubles.delete(id)) changed();
        return;
      }
      const known = troubles.get(id);
      const reason = cleanText(text, REASON_CHARS);
      if (known?.reason === reason) return;
      const step = stepOf(command);
      const since = known?.since ?? clock.now();
      troubles.set(id, { command: id, reason, since, ...(step === undefined ? {} : { step }) });
      changed();
    },
    setAction(key, text) {
      const line = text === undefined ? "" : cleanLine(text, ACTION_CHARS);
      if (line === (actions.get(key) ?? "")) return;
      if (line === "") actions.delete(key);
      else actions.set(key, line);
      changed();
    },
    forget(id) {
      if (troubles.delete(id)) snapshot = undefined;
    },
  };
}

function stepOf(command: PlanCommand): string | undefined {
  if ("step" in command) return command.step;
  return "key" in command ? command.key.split("/")[1] : undefined;
}
