import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { McpServer } from "../../types.js";
import { readBegan } from "../process-list.js";
import type { StartFiles } from "./arguments.js";

/** What the folders are called: this, the engine's process, when it began, and something random. */
const PREFIX = "workflow-agent-";
const OWNER = /^workflow-agent-(?:(\d+)\.(\d+)-)?\w+$/;

/**
 * Writes what the agent reads when it starts. Files for the owner alone, because other users can read command lines.
 * @returns paths, and what removes the files
 */
export function createStartFiles(content: {
  systemPrompt?: string | undefined;
  mcpServers?: Record<string, McpServer> | undefined;
}): { files: StartFiles; forget: () => void } {
  const { systemPrompt, mcpServers = {} } = content;
  const hasServers = Object.keys(mcpServers).length > 0;
  if (!systemPrompt && !hasServers) return { files: {}, forget() {} };
  const owner = `${process.pid}.${readBegan(process.pid)}`;
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${owner}-`));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  return {
    files: {
      systemPrompt: systemPrompt && write("system-prompt.md", systemPrompt),
      mcpConfig: hasServers ? write("mcp.json", JSON.stringify({ mcpServers })) : undefined,
    },
    forget: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Removes what engines that are gone have left of such files. Never throws. */
export function sweepStartFiles(folder: string = tmpdir()): void {
  for (const name of readNames(folder)) {
    const [whole, pid, began] = OWNER.exec(name) ?? [];
    if (!whole || (pid && began && isAlive(Number(pid), began))) continue;
    const path = join(folder, name);
    try {
      const entry = lstatSync(path);
      // In a temporary folder that all users share, others may have made what is called so.
      if (!entry.isDirectory() || (process.getuid && entry.uid !== process.getuid())) continue;
      rmSync(path, { recursive: true, force: true });
    } catch {
      // It has gone in the meantime, or is not ours to remove.
    }
  }
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isAlive(pid: number, began: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  // A pid is used again; "0" where the beginning cannot be read.
  const now = readBegan(pid);
  return now === began || now === "0" || began === "0";
}
