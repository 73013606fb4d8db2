import type { AgentCapabilities, AgentKind } from "../src/engine/agent/agent-kind.js";

const yes = (value: boolean) => (value ? "yes" : "no");

/** What is told of a kind, by rows. */
const ROWS: readonly [about: string, tell: (can: AgentCapabilities) => string][] = [
  ["goes on with its conversation", ({ resume }) => yes(resume)],
  ["a message while it works", ({ messages }) => MESSAGES[messages]],
  ["asks you questions of its own", ({ questions }) => yes(questions)],
  ["your rules for tools", ({ rules }) => RULES[rules]],
  ["`disallowedTools` of a workflow", ({ disallowedTools }) => kept(disallowedTools)],
  [
    "the engine's sandbox (`ENGINE_SANDBOX`)",
    ({ sandbox }) => (sandbox ? "yes" : "no; refused where it is `on`"),
  ],
  ["turn limit", ({ turnLimit }) => TURN_LIMIT[turnLimit]],
  ["tells what it costs", ({ tellsCost }) => (tellsCost ? "yes" : "no: unknown")],
  ["limits of cost", ({ costLimit }) => kept(costLimit)],
  ["`output` of a plan's step is enforced", ({ outputSchema }) => yes(outputSchema)],
  ["`mcpServers` of a workflow", ({ mcpServers }) => kept(mcpServers)],
  [
    "completed, when",
    ({ tellsSuccess }) => (tellsSuccess ? "it says so" : "`success` of the workflow is there"),
  ],
  ["work that changes files", ({ edits }) => edits],
];

const MESSAGES = {
  now: "is read at its next step",
  "next turn": "is read after its turn",
  no: "is not read",
};
const RULES = { enforced: "kept whatever it does", asked: "judged where it asks" };
const TURN_LIMIT = { agent: "kept", engine: "kept by the engine", no: "refused" };
const kept = (can: boolean) => (can ? "kept" : "refused");

/** The table of agents in docs/engine.md, in Markdown, one column a kind, without a trailing newline. */
export function renderAgentsTable(
  kinds: readonly Pick<AgentKind, "name" | "title" | "capabilities">[],
): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    row(["", ...kinds.map(({ name, title }) => `${title} (\`${name}\`)`)]),
    `|${"---|".repeat(kinds.length + 1)}`,
    ...ROWS.map(([about, tell]) => row([about, ...kinds.map(({ capabilities }) => tell(capabilities))])),
  ].join("\n");
}
