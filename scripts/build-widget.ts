import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { BROWSERS } from "./build-dashboard.js";

const WIDGET = "src/dashboard/ui/widget";

/**
 * The widget of the chat: one file that asks for no other. Its policy names its one style and its one script by what is in
 * them, and forbids all else, whatever the host allows.
 * @param root the folder of the repository, with `node_modules`
 * @returns the file, and the paths of everything that went into it
 */
export async function buildWidget(root: string): Promise<{ html: string; sources: string[] }> {
  const { outputFiles, metafile } = await build({
    ...BROWSERS,
    absWorkingDir: root,
    outdir: "dist/widget",
    entryPoints: { widget: `${WIDGET}/main.tsx` },
    format: "iife",
  });
  const textOf = (suffix: string) => outputFiles.find(({ path }) => path.endsWith(suffix))?.text.trim() ?? "";
  const [script, style] = [textOf(".js"), textOf(".css")];
  for (const [text, end] of [
    [script, "</script"],
    [style, "</style"],
  ] as const)
    if (text === "" || text.includes(end))
      throw new Error(`The widget cannot be one file: "${end}" or nothing.`);
  const policy = `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; base-uri 'none'; form-action 'none'`;
  const html = readFileSync(join(root, WIDGET, "widget.html"), "utf8")
    .replace("</title>", () => `</title><meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace("</head>", () => `<style>${style}</style></head>`)
    .replace("</body>", () => `<script>${script}</script></body>`);
  return { html, sources: Object.keys(metafile.inputs) };
}

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
