// Writes the tables that come from the code into docs, each between its two marks.
import { readFileSync, writeFileSync } from "node:fs";
import { AGENT_KINDS } from "../src/engine/agent/agent-kinds.js";
import { renderAgentsTable } from "./render-agents-table.js";
import { renderSettingsTable } from "./render-settings-table.js";

write("settings.md", "settings", renderSettingsTable());
write("engine.md", "agents", renderAgentsTable(AGENT_KINDS));

function write(document: string, name: string, table: string): void {
  const file = new URL(`../docs/${document}`, import.meta.url);
  const marked = new RegExp(`(<!-- ${name}:begin -->\\n)[\\s\\S]*?(<!-- ${name}:end -->)`);
  writeFileSync(file, readFileSync(file, "utf8").replace(marked, `$1${table}\n$2`));
}
