import { inspect } from "node:util";
import { type ConsolaInstance, createConsola, LogLevels } from "consola/core";

/** What the house needs of a logger; consola's instances fit. */
export type Log = Pick<ConsolaInstance, "debug" | "info" | "warn" | "error">;

/** The level as a number, for a logger that is there already. */
export function logLevelOf(level: keyof typeof LogLevels): number {
  return LogLevels[level];
}

/**
 * A logger that writes to stderr only, because stdout belongs to the protocol. It never shows the given secrets,
 * whoever puts them into a message, and of errors only what they say: a stack tells an outsider where things lie.
 * @param options.level consola's level names
 * @param options.secrets texts that are replaced wherever they turn up; more may be added to the list later
 * @param options.stderr where lines go
 */
export function createLog(options: {
  level: keyof typeof LogLevels;
  secrets?: readonly (string | undefined)[];
  stderr: Pick<NodeJS.WriteStream, "write">;
}): ConsolaInstance {
  const redact = (text: string) =>
    (options.secrets ?? [])
      .flatMap((secret) => (secret ? spellings(secret) : []))
      .reduce((cleaned, secret) => cleaned.replaceAll(secret, "[secret]"), text);
  return createConsola({
    level: LogLevels[options.level],
    reporters: [
      {
        log({ type, args }) {
          const text = args.map(render).filter(Boolean).join(" ");
          options.stderr.write(redact(`[${type}] ${text.replace(STACK_LINES, "")}\n`));
        },
      },
    ],
  });
}

/** Stacks also come inside of texts and of other objects. */
const STACK_LINES = /\n\s+at .*/g;

function render(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return inspect(value, { depth: 3 });
}

/** A secret as it is, as it stands within JSON, and as it stands within an address; the longest first. */
function spellings(secret: string): string[] {
  return [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), secret];
}
