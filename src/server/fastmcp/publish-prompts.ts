import type { FastMCP } from "fastmcp";
import type { Complete } from "../completions.js";
import { prompts } from "../prompts.js";
import type { ProjectStep } from "../tools/output.js";
import { completeValues } from "./publish-resources.js";

/** Publishes the prompts. Must be called before the first session. */
export function publishPrompts(server: FastMCP, project: ProjectStep, complete: Complete): void {
  for (const prompt of prompts) {
    server.addPrompt({
      name: prompt.name,
      description: prompt.description,
      arguments: prompt.arguments.map(({ name, description, required, completes }) => ({
        name,
        description,
        required,
        ...(completes ? { complete: (typed: string) => completeValues(complete, completes, typed) } : {}),
      })),
      // Called without arguments when the client sends none.
      load: async (args: Record<string, string | undefined> | undefined) => prompt.write(args ?? {}, project),
    });
  }
}
