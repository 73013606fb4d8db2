import { createInterface, type Interface } from "node:readline/promises";
import type { ElicitRequestFormParams, ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import type { Screen } from "./screen.js";

/** A field of a form as our server sends it: text, free or one of several choices. */
export interface Field {
  name: string;
  title: string;
  description: string;
  required: boolean;
  /** What is filled in beforehand. */
  suggestion: string | undefined;
  choices: readonly { value: string; title: string }[];
  /** The answer may have several lines; an empty one ends it. */
  lines?: true | undefined;
  /** It is asked only where the field of that name, before it, was answered so. */
  onlyWith?: { name: string; value: string } | undefined;
}

/** Answers a form for the person. The signal ends the waiting; the answer then counts as cancelled. */
export interface Answerer {
  readonly byKeyboard: boolean;
  answer(fields: readonly Field[], signal: AbortSignal): Promise<ElicitResult>;
}

/** Reads the fields out of a form's schema, in its order. */
export function readFields({ requestedSchema }: ElicitRequestFormParams): Field[] {
  const required = requestedSchema.required ?? [];
  return Object.entries(requestedSchema.properties).map(([name, property]) => ({
    name,
    title: property.title ?? name,
    description: property.description ?? "",
    required: required.includes(name),
    suggestion: typeof property.default === "string" ? property.default : undefined,
    choices:
      "oneOf" in property
        ? property.oneOf.map((choice) => ({ value: choice.const, title: choice.title }))
        : [],
  }));
}

/** Shows one field: title, what it is about, its choices. */
function showField(field: Field, screen: Pick<Screen, "line">): void {
  const isTold = field.description.toLowerCase() === field.title.toLowerCase();
  const about = field.description && !isTold ? `: ${field.description}` : "";
  screen.line(`${field.title}${field.required ? "" : " (optional)"}${about}`);
  for (const [index, { title }] of field.choices.entries()) screen.line(`  ${index + 1}. ${title}`);
}

/** What is filled in beforehand, as it is typed: of choices, which are shown by their titles, the number. */
function tellSuggestion({ suggestion, choices }: Field): string {
  const at = choices.findIndex(({ value }) => value === suggestion);
  return at < 0 ? `${suggestion}` : String(at + 1);
}

/** The first choice of what is required; at a gate that the plan goes on. */
export function chooseApproval({ name, required, choices }: Field): string | undefined {
  if (name === "decision") return choices.find(({ value }) => value === "approve")?.value;
  return required ? choices[0]?.value : undefined;
}

/**
 * Takes the form's own suggestions, where nobody sits at a keyboard.
 * @param choose what is taken where a form suggests nothing; by default the first choice of what is required
 */
export function createAutomaticAnswerer(
  screen: Screen,
  choose: (field: Field) => string | undefined = chooseApproval,
): Answerer {
  return {
    byKeyboard: false,
    async answer(fields) {
      const content: Record<string, string> = {};
      for (const field of fields) {
        showField(field, screen);
        const value = field.suggestion ?? choose(field) ?? (field.required ? "demo" : undefined);
        if (value !== undefined) content[field.name] = value;
        screen.line(value === undefined ? "> (left empty)" : `> ${value}`, "cyan");
      }
      screen.line("Answered by the demo itself: there is no terminal to type in.", "dim");
      return { action: "accept", content };
    },
  };
}

/**
 * Asks field by field at the terminal.
 * @param interrupt called on Ctrl-C, which reaches nobody as a signal while a line is being typed
 */
export function createKeyboardAnswerer(options: {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  screen: Pick<Screen, "line">;
  interrupt: () => void;
}): Answerer {
  const { input, output, screen, interrupt } = options;
  return {
    byKeyboard: true,
    async answer(fields, signal) {
      const closed = new AbortController();
      const readline = createInterface({ input, output });
      readline.on("SIGINT", interrupt);
      readline.on("close", () => closed.abort());
      const ended = AbortSignal.any([closed.signal, signal]);
      try {
        screen.line("Enter takes the value in [brackets]; /decline or /cancel ends the form.", "dim");
        const content: Record<string, string> = {};
        for (const field of fields) {
          const { onlyWith } = field;
          if (onlyWith && content[onlyWith.name] !== onlyWith.value) continue;
          showField(field, screen);
          const prompt = `  ${field.suggestion === undefined ? "" : `[${tellSuggestion(field)}] `}> `;
          let value: string | undefined;
          do {
            const typed = (await readline.question(prompt, { signal: ended })).trim();
            if (typed === "/decline") return { action: "decline" };
            if (typed === "/cancel") return { action: "cancel" };
            const rest = field.lines && typed ? await readLines(readline, ended) : [];
            value = readTyped([typed, ...rest].join("\n"), field, screen);
          } while (value === undefined);
          if (value !== "") content[field.name] = value;
        }
        return { action: "accept", content };
      } catch (error) {
        // The end of the input, or of the call: nobody has agreed to anything.
        if (!ended.aborted) throw error;
        output.write("\n");
        return { action: "cancel" };
      } finally {
        readline.close();
      }
    },
  };
}

/** Further lines, up to an empty one. */
async function readLines(readline: Interface, signal: AbortSignal): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const line = (await readline.question("  > ", { signal })).trim();
    if (line === "") return lines;
    lines.push(line);
  }
}

/** The value that was meant, "" for none; undefined when it has to be asked again. */
function readTyped(typed: string, field: Field, screen: Pick<Screen, "line">): string | undefined {
  const value = typed || (field.suggestion ?? "");
  if (value === "") {
    if (!field.required) return "";
    screen.line("A value is required.", "yellow");
    return undefined;
  }
  if (field.choices.length === 0) return value;
  const choice = field.choices.find((one) => one.value === value) ?? field.choices[Number(value) - 1];
  if (!choice) screen.line(`A number from 1 to ${field.choices.length}, please.`, "yellow");
  return choice?.value;
}
