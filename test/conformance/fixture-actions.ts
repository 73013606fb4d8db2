import { setTimeout as pause } from "node:timers/promises";
import { ActionError } from "../../src/actions/answer.js";
import { type Action, defineAction } from "../../src/actions/define-action.js";
import type { Question } from "../../src/actions/forms/form-client.js";

/** Longer than progress holds back what comes too fast, in ms: the suite counts three reports. */
const STEP_MS = 550;

const free = (name: string, description: string): Question => ({
  name,
  title: name,
  description,
  required: true,
});
const choice = (name: string, prefix: string, titles: readonly string[]) => ({
  name,
  title: name,
  description: `One of ${titles.length}`,
  required: false,
  choices: titles.map((title, index) => ({ value: `${prefix}${index + 1}`, title })),
});

/** What all of the suite's tools have in common as actions. */
const common = {
  title: "Fixture",
  summary: "A fixture of the conformance suite.",
  searchHint: "fixture",
  parameters: [],
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  answerParts: [],
} as const;

function fixture(toolName: string, handle: Action["handle"], parameters: Action["parameters"] = []): Action {
  return defineAction({
    ...common,
    name: toolName,
    toolName,
    description: `Fixture ${toolName} of the conformance suite`,
    parameters,
    handle,
  });
}

/** Asks the person, and tells what came of it in the suite's words. */
function asking(message: string | undefined, questions: readonly Question[]): Action["handle"] {
  return async (args, call) => {
    const answer = await call.forms.ask(message ?? args.message ?? "", questions);
    if (answer.kind === "not_asked") throw new ActionError(answer.why);
    const content = answer.kind === "accepted" ? answer.values : {};
    return {
      outcome: "completed",
      summary: `Elicitation completed: action=${answer.kind}, content=${JSON.stringify(content)}`,
    };
  };
}

/** The form messages by which the forms are known that get further fields; see fixture-forms.ts. */
export const DEFAULTS_MESSAGE = "Please review the fields and their defaults";
export const ENUMS_MESSAGE = "Please choose";

/** The suite's tools that are actions like any of ours: arguments, forms, progress, answers and errors are tested. */
export const fixtureActions: readonly Action[] = [
  fixture("test_simple_text", async () => ({
    outcome: "completed",
    summary: "This is a simple text response for testing.",
  })),
  fixture("test_error_handling", async () => {
    throw new ActionError("This tool intentionally returns an error for testing");
  }),
  fixture("test_tool_with_progress", async (_args, call) => {
    for (const progress of [0, 50, 100]) {
      call.progress({ progress, total: 100, message: `Completed step ${progress} of 100` });
      if (progress < 100) await pause(STEP_MS);
    }
    return { outcome: "completed", summary: "Tool with progress executed" };
  }),
  fixture(
    "test_elicitation",
    asking(undefined, [free("username", "User's response"), free("email", "User's email address")]),
    ["message"],
  ),
  fixture(
    "test_elicitation_sep1034_defaults",
    asking(DEFAULTS_MESSAGE, [{ ...free("name", "User name"), suggestion: "John Doe" }]),
  ),
  fixture(
    "test_elicitation_sep1330_enums",
    asking(ENUMS_MESSAGE, [
      choice("titledSingle", "value", ["First Option", "Second Option", "Third Option"]),
      { ...choice("titledMulti", "value", ["First Choice", "Second Choice", "Third Choice"]), several: true },
    ]),
  ),
];

const optional = (name: string): Question => ({ ...free(name, name), required: false });

/** Those of protocol 2026-07-28, on which a form is the answer to a call, and the call comes again. */
export const roundActions: readonly Action[] = [
  fixture(
    "test_input_required_result_elicitation",
    asking("What is your name?", [free("name", "Your name")]),
  ),
  fixture("test_input_required_result_request_state", asking("Please confirm", [optional("ok")])),
  fixture("test_input_required_result_tampered_state", asking("Please confirm", [optional("ok")])),
  fixture("test_input_required_result_multi_round", async (args, call) => {
    await asking("Step 1: What is your name?", [free("name", "Your name")])(args, call, {} as never);
    return asking("Step 2: What is your favorite color?", [free("color", "A color")])(
      args,
      call,
      {} as never,
    );
  }),
  fixture("test_streaming_elicitation", async (args, call) => {
    call.progress({ message: "Asking" });
    return asking("Please confirm", [optional("ok")])(args, call, {} as never);
  }),
  fixture("test_logging_tool", async (_args, call) => {
    call.progress({ message: "Logging" });
    return { outcome: "completed", summary: "Logged" };
  }),
];
