import { cleanLine } from "./text.js";

/** A service by which people are asked who are at no window. */
export type OutsideService = "slack" | "discord" | "ntfy";

/** Where a person decides or answers. */
export type DecidedVia = "chat" | "terminal" | "dashboard" | OutsideService;

/** Each of them, as it is told behind "in". */
export const PLACES: Record<DecidedVia, string> = {
  chat: "a chat",
  terminal: "a terminal",
  dashboard: "the dashboard",
  slack: "Slack",
  discord: "Discord",
  ntfy: "ntfy",
};

/** Who has decided or answered, and where, as much of it as is known. */
export interface Whose {
  readonly via?: DecidedVia;
  /** By the name of their token, or as that service names them. */
  readonly by?: string;
}

/** The longest name that a token can have is shorter. */
const NAME_CHARS = 100;

/** " by Ann in Slack", as much of it as is known. */
export function whoAndWhere({ by, via }: Whose): string {
  return `${by === undefined ? "" : ` by ${cleanLine(by, NAME_CHARS)}`}${via === undefined ? "" : ` in ${PLACES[via]}`}`;
}

/** "Ann in Slack", as much of it as is known; "" for nothing. */
export function tellWhose(whose: Whose): string {
  return whoAndWhere(whose).replace(/^ (?:by )?/, "");
}

/** As much of both as is understood, since they may have been written elsewhere; undefined where that is nothing. */
export function readWhose({ by, via }: { by?: unknown; via?: unknown }): Whose | undefined {
  const name = typeof by === "string" ? cleanLine(by, NAME_CHARS) : "";
  const isPlace = typeof via === "string" && Object.hasOwn(PLACES, via);
  if (!isPlace && name === "") return undefined;
  return { ...(isPlace ? { via: via as DecidedVia } : {}), ...(name === "" ? {} : { by: name }) };
}
