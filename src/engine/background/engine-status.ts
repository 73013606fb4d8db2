import { keepAwake } from "../../shared/background/keep-awake.js";
import type { Clock } from "../../shared/clock.js";
import { createHealthProbe, type ProbeHealth } from "./engine-health.js";
import { lookAtEngine } from "./look-at-engine.js";
import { ELSEWHERE } from "./stop-engine.js";

/** What is known of the engine of a state folder. */
export interface EngineStatus {
  /** Its process lives. */
  running: boolean;
  pid?: number;
  url?: string;
  version?: string;
  /** Epoch ms. */
  startedAt?: number;
  /** Started by a chat window, which a newer one may replace. */
  background?: boolean;
  activeRuns?: number;
  clients?: number;
  /** Why it is not as it should be, in one sentence for the person. */
  problem?: string;
}

/** Looks at the engine of the state folder and asks it. Changes nothing and never throws. */
export function readEngineStatus(
  stateFolder: string,
  options: { clock: Clock; probe?: ProbeHealth },
): Promise<EngineStatus> {
  return keepAwake(async () => {
    const probe = options.probe ?? createHealthProbe();
    const sight = await lookAtEngine(stateFolder, { probe, now: options.clock.now() });
    if (sight.kind === "none") return { running: false };
    if (sight.kind === "elsewhere") return { running: true, problem: ELSEWHERE };
    const { pid } = sight.holder;
    if (sight.kind === "unready")
      return { running: true, pid, problem: "It is starting or ending just now." };
    const { url, version, startedAt, background } = sight.record;
    const known = { running: true, pid, url, version, startedAt, background };
    if (sight.kind === "silent") return { ...known, problem: "It does not answer." };
    const { activeRuns, clients } = sight.health;
    return {
      ...known,
      ...(activeRuns === undefined ? {} : { activeRuns }),
      ...(clients === undefined ? {} : { clients }),
    };
  });
}
