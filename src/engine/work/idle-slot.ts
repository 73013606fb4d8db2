import type { Clock } from "../../shared/clock.js";
import type { AgentProcess } from "../agent/agent-process.js";
import type { RunSlot } from "./run-queue.js";

/** An agent that waits for a person and has done nothing else for this long, in ms, gives up its slot. */
const IDLE_MS = 60_000;
/**
 * A command that goes on beside the question counts as work for so many times as long: commands take 10 min at most, and
 * what is silent for longer has lost its end.
 */
const SILENT_WORK_TIMES = 20;

/** The slot of an agent that may wait for a person: given up while it does nothing else, and had again afterwards. */
export interface IdleSlot {
  has(): boolean;
  /** Begins anew to wait until an agent with open questions does nothing else. */
  watch(): void;
  /** The agent does something, although it may have an open question. */
  stir(): void;
  /** Asks for a slot; when there is one, the agent goes on. */
  regain(): void;
  /** Stops waiting. */
  cancel(): void;
}

/**
 * @param options.asksPerson whether the agent waits for a person's answer
 * @param options.onChange it has given its slot up, or has one again
 */
export function createIdleSlot(options: {
  slot: RunSlot;
  clock: Clock;
  agent: () => AgentProcess | undefined;
  asksPerson: () => boolean;
  onChange: (change: "slot-given-up" | "slot-taken") => void;
}): IdleSlot {
  const { slot, clock, agent, asksPerson, onChange } = options;
  let hasSlot = true;
  let cancel = () => {};

  function watch(timesSilent = 0): void {
    cancel();
    if (!hasSlot || !agent() || !asksPerson()) return;
    cancel = clock.after(IDLE_MS, () => {
      if (!asksPerson()) return;
      if (agent()?.worksBeside() && timesSilent < SILENT_WORK_TIMES) watch(timesSilent + 1);
      else giveUp();
    });
  }

  function giveUp(): void {
    hasSlot = false;
    agent()?.hold();
    onChange("slot-given-up");
    slot.giveUp();
  }

  function regain(): void {
    slot.regain(() => {
      hasSlot = true;
      onChange("slot-taken");
      agent()?.letGo();
      watch();
    });
  }

  return {
    has: () => hasSlot,
    watch: () => watch(),
    stir() {
      if (hasSlot) watch();
      // It was taken for idle, and cannot be stopped without loss: it goes on, and the next free slot is its.
      else regain();
    },
    regain,
    cancel: () => cancel(),
  };
}
