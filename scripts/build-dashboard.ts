import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";

/** The sources of the dashboard's browser side, below the root of the repository. */
const UI = "src/dashboard/ui";

/** What all that runs in a browser is built for, and how. */
export const BROWSERS = {
  bundle: true,
  write: false,
  metafile: true,
  platform: "browser",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  // All of them stand in THIRD-PARTY-LICENSES.txt.
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
} as const satisfies BuildOptions;

export interface DashboardFiles {
  /** By their names below `dist/dashboard`. */
  files: Map<string, Uint8Array>;
  /** Paths of everything that went into them, for the licences. */
  sources: string[];
}

/**
 * The browser side of the dashboard as static files: one page, one script, one style sheet, and nothing that any of them
 * would fetch from elsewhere. Their names stay, so that whoever serves them needs no list: it is the server that says
 * how long a browser may keep them.
 * @param root the folder of the repository, with `node_modules`
 */
export async function buildDashboard(root: string): Promise<DashboardFiles> {
  const { outputFiles, metafile } = await build({
    ...BROWSERS,
    absWorkingDir: root,
    outdir: "dist/dashboard",
    entryPoints: { app: `${UI}/main.tsx` },
    format: "esm",
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [path.replace(/^.*[\\/]/, ""), contents]));
  files.set("index.html", readFileSync(join(root, UI, "index.html")));
  return { files, sources: Object.keys(metafile.inputs) };
}
