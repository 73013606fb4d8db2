import type { PlanPort } from "../port.js";

/**
 * Does something outside as a step with a name, of which the outcome's kind is recorded. It gives, or throws, what the
 * work does, whatever becomes of the record.
 */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/**
 * The world outside for one shift of a plan: what is done there is to be seen as the shift's steps. The record is for
 * people: whether something was done before is what the plan's journal says, since a step may be done twice.
 */
export function recordPort(port: PlanPort, step: Step): PlanPort {
  return {
    ...port,
    startRun: (key, ...how) => step(`start ${key}`, () => port.startRun(key, ...how)),
    lookUp: (key, ...how) => step(`look up ${key}`, () => port.lookUp(key, ...how)),
    openGate: (command, state) => step(command.id, () => port.openGate(command, state)),
    merge: (command, ...how) => step(command.id, () => port.merge(command, ...how)),
    kill: (runId, force) => step(`kill ${runId}`, () => port.kill(runId, force)),
  };
}
