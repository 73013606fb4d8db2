/** The commands, and what belongs to each of them. */

export const COMMANDS = [
  "stdio",
  "serve",
  "demo",
  "doctor",
  "install",
  "allow",
  "engine",
  "engine status",
  "engine cost",
  "engine drain",
  "engine stop",
  "workflows",
  "workflows edit",
  "sessions",
  "sessions show",
  "sessions resume",
  "sessions clean",
  "sessions diff",
  "sessions take",
  "sessions discard",
  "plan",
  "plan run",
  "plan templates",
  "plan check",
  "plan list",
  "plan show",
  "plan approve",
  "plan send-back",
  "plan stop",
  "plan pause",
  "plan resume",
  "plan skip",
  "plan redo",
  "plan kill",
  "plan edit",
  "plan limits",
  "plan save",
  "plan-driver",
  "dashboard",
  "history",
  "history export",
  "history delete",
] as const;

/** A command that does something, by its words. */
export type Command = (typeof COMMANDS)[number];

/** A command about plans. */
export type PlanCommand = Extract<Command, "plan" | `plan ${string}`>;

/**
 * Flags that are no settings, and the commands that each belongs to. A `boolean` one takes no value; a `list` one can be
 * given several times, and the last of several holds for the others.
 */
export const OWN_FLAGS = {
  host: { type: "string", commands: ["engine", "serve"] },
  port: { type: "string", commands: ["engine", "serve"] },
  name: { type: "string", commands: ["install", "plan run"] },
  transport: { type: "string", commands: COMMANDS },
  days: { type: "string", commands: ["engine cost"] },
  force: { type: "boolean", commands: ["engine stop"] },
  "interrupt-after": { type: "string", commands: ["engine drain"] },
  background: { type: "boolean", commands: ["engine"] },
  sse: { type: "boolean", commands: ["serve"] },
  yes: {
    type: "boolean",
    commands: [
      ...["demo", "install", "sessions resume", "sessions clean", "sessions take", "sessions discard"],
      ...["plan approve", "plan stop", "plan redo", "plan kill", "plan edit"],
      ...["history delete"],
    ] as Command[],
  },
  agree: { type: "list", commands: ["plan run", "plan edit"] },
  cost: { type: "string", commands: ["plan limits"] },
  runs: { type: "string", commands: ["plan limits"] },
  parallel: { type: "string", commands: ["plan limits"] },
  minutes: { type: "string", commands: ["plan limits"] },
  input: { type: "list", commands: ["plan run", "plan check"] },
  repository: {
    type: "string",
    commands: ["plan run", "plan templates", "history", "history export", "history delete"],
  },
  since: { type: "string", commands: ["history", "history export"] },
  csv: { type: "boolean", commands: ["history export"] },
  branch: { type: "string", commands: ["plan run", "plan templates"] },
  all: { type: "boolean", commands: ["plan", "plan list"] },
  "dry-run": { type: "boolean", commands: ["sessions clean", "plan run"] },
  "older-than": { type: "string", commands: ["sessions clean"] },
  stat: { type: "boolean", commands: ["sessions diff"] },
  into: { type: "string", commands: ["sessions take"] },
  squash: { type: "boolean", commands: ["sessions take"] },
  check: { type: "string", commands: ["sessions take"] },
  follow: { type: "boolean", commands: ["sessions show", "plan run", "plan show"] },
  print: { type: "boolean", commands: ["install", "plan save"] },
  "in-repository": { type: "boolean", commands: ["plan save"] },
  project: { type: "boolean", commands: ["install"] },
  "with-key": { type: "boolean", commands: ["install"] },
  json: {
    type: "boolean",
    commands: [
      ...["doctor", "engine status", "engine cost", "workflows", "sessions", "sessions clean"],
      ...["plan", "plan list", "plan show", "plan templates"],
      ...["history", "history export"],
    ] as Command[],
  },
  allow: { type: "boolean", commands: ["install"] },
  "no-open": { type: "boolean", commands: ["dashboard"] },
  list: { type: "boolean", commands: ["allow"] },
  remove: { type: "boolean", commands: ["allow"] },
} as const satisfies Record<string, { type: "string" | "boolean" | "list"; commands: readonly Command[] }>;

const PLAN = "a plan's name or id";

/** How many words may follow a command. */
export const OPERANDS: Partial<Record<Command, { least: number; most: number; what: string }>> = {
  "sessions show": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions resume": { least: 1, most: 2, what: "a session's name, and a message in quotes," },
  "sessions diff": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions take": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions discard": { least: 1, most: 1, what: "a session's name or a run's id" },
  "workflows edit": { least: 1, most: 1, what: "the name of a workflow" },
  "plan run": { least: 1, most: 1, what: "a plan's file or the name of a template" },
  "plan check": { least: 1, most: 1, what: "a plan's file" },
  "plan show": { least: 1, most: 1, what: PLAN },
  "plan approve": { least: 1, most: 2, what: `${PLAN}, and a step if several wait,` },
  "plan send-back": {
    least: 2,
    most: 3,
    what: `${PLAN}, a step if several wait, and in quotes what should change`,
  },
  "plan stop": { least: 1, most: 2, what: `${PLAN}, and a step if several wait,` },
  "plan pause": { least: 1, most: 1, what: PLAN },
  "plan resume": { least: 1, most: 1, what: PLAN },
  "plan skip": { least: 1, most: 2, what: `${PLAN} and a step` },
  "plan redo": { least: 1, most: 3, what: `${PLAN}, a step, and in quotes what to say to it,` },
  "plan kill": { least: 1, most: 1, what: PLAN },
  "plan edit": { least: 2, most: 2, what: `${PLAN} and a file` },
  "plan limits": { least: 1, most: 1, what: PLAN },
  "plan save": { least: 0, most: 2, what: "a session's name, and a name for the template," },
};
