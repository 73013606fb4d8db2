import type { PlanDetail } from "../views/plan.js";
import type { RunRow } from "../views/run.js";

/** How values are written for a person. Times are epoch ms, durations seconds, money US dollars. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration in at most two units: `48 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min`;
  const [unit, name, below, belowName] = whole < DAY ? [HOUR, "h", MINUTE, "min"] : [DAY, "d", HOUR, "h"];
  const rest = Math.floor((whole % (unit as number)) / (below as number));
  return `${Math.floor(whole / (unit as number))} ${name}${rest > 0 ? ` ${rest} ${belowName}` : ""}`;
}

export function money(usd: number): string {
  if (usd === 0) return "$0.00";
  if (usd < 0.01) return "< $0.01";
  return usd >= 1_000 ? `$${Math.round(usd).toLocaleString("en-US")}` : `$${usd.toFixed(2)}`;
}

/** Of some runs it is known that they have cost something, and not how much: their agents do not tell. */
export function costText({ costUsd, costAtLeast }: Pick<RunRow, "costUsd" | "costAtLeast">): string {
  if (costUsd === undefined) return costAtLeast ? "unknown" : "";
  return `${costAtLeast ? "> " : ""}${money(costUsd)}`;
}

/** The runs of a plan against its limit: `3 of 20`, `3 of 20, 1 starting`. */
export function runsText({ started, starting = 0, unknown = 0, limit }: PlanDetail["runs"]): string {
  const unsure = `${starting > 0 ? `, ${starting} starting` : ""}${unknown > 0 ? `, ${unknown} unknown` : ""}`;
  return `${started} of ${limit}${unsure}`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 run`, `2 runs`; the plural by an s unless told. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const shortClockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The time of day, to the second, in the browser's own zone. */
export function clockTime(at: number): string {
  return clockFormat.format(at);
}

/** The time of day, with the day in front where it is not today. */
export function moment(at: number, now: number): string {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  return isToday ? shortClockFormat.format(at) : `${dayFormat.format(at)}, ${shortClockFormat.format(at)}`;
}

/** For machines and titles: date and time to the second. */
export function isoTime(at: number): string {
  return new Date(at).toISOString();
}

/** The last part of a repository's address or folder, without `.git`. */
export function repositoryName(address: string): string {
  return (
    address
      .replace(/[/\\]+$/, "")
      .replace(/\.git$/, "")
      .replace(/^.*[/\\:]/, "") || address
  );
}
