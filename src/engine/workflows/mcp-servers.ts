import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import * as z from "zod";
import type { McpServer } from "../types.js";

const PRODUCT = "automagik-workflows-mcp";

const text = z.string().min(1).max(2_000);
const texts = z.record(z.string().min(1).max(200), z.string().max(10_000));

const server = z.union([
  z.strictObject({
    type: z.literal("stdio").optional(),
    command: text,
    args: z.array(z.string().max(2_000)).max(100).optional(),
    env: texts.optional(),
  }),
  z.strictObject({
    type: z.enum(["http", "sse"]),
    url: z.url({ protocol: /^https?$/ }).max(2_000),
    headers: texts.optional(),
  }),
]);

/**
 * The MCP servers that a workflow.json gives to its agents, each defined there: agents get none from the person's own
 * configuration, and this product's own server never, since with it an agent would start paid runs and answer its own
 * questions.
 */
export const mcpServersSchema = z
  .record(z.string().regex(/^[\w-]{1,64}$/, "must be a name of letters, digits, _ and -"), server)
  .refine((servers) => !Object.values(servers).some(isOwnServer), {
    error: `names the server of ${PRODUCT} itself, which agents never get`,
  });

/** True for a definition that starts or calls this product, under whatever name. */
function isOwnServer(definition: McpServer): boolean {
  if ("url" in definition) return definition.url.toLowerCase().includes(PRODUCT);
  const words = [definition.command, ...(definition.args ?? [])];
  return words.some((word) => word.toLowerCase().includes(PRODUCT) || belongsToProduct(word));
}

/** A path into an installation of this product, also through a link or in a folder of another name. */
function belongsToProduct(path: string): boolean {
  if (!isAbsolute(path)) return false;
  try {
    let folder = realpathSync(path);
    while (folder !== dirname(folder)) {
      folder = dirname(folder);
      const manifest = join(folder, "package.json");
      if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, "utf8")).name === PRODUCT;
    }
  } catch {
    // What is not there, or is no package, is not this product.
  }
  return false;
}
