import type { Target } from "../../../src/integrations/target.js";
import type { Transaction } from "../../../src/store/database.js";
import type { Random } from "../random.js";

/** A service that events are brought to, and what it has of them. */
export interface Place {
  target: Target;
  /** One of the next requests meets a fault. @returns what it is called */
  arm(random: Random): string;
  /** How many deliveries an event has here in the end. */
  deliveries: number;
  /** Writes down what the service is to be told of an event. @param now epoch ms */
  write(trx: Transaction, event: string, now: number): Promise<void>;
  /** The same once the event has gone on; left out where it does not. */
  goOn?(trx: Transaction, event: string, now: number): Promise<void>;
  /** How often a delivery has left something at the service. @param id the delivery's */
  copies(id: string): number;
  /** Whether the service has what a delivery tells, as it is to read in the end; where it has arrived, unless told. */
  isThere?(id: string): boolean;
  /** What a delivery has left twice since the service has no key for it, and how that came about; to be counted. */
  twice?(id: string): string | undefined;
  /** The service knows an event by a key: what comes twice is one to it. */
  hasKey: boolean;
  close(): Promise<void>;
}
